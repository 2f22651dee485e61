module servers

go 1.27
