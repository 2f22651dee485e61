module dog-names

go 1.27
