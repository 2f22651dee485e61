-- Makes wrk create todos.
wrk.method = "POST"
wrk.body = "data=walk+the+dog"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
