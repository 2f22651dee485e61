# What only a provider has beside the targets of deploy.mk: connections.
.PHONY: connections
connections: $(VENV)/installed ## List the endpoints that are connected or wait for acceptance; ACCEPT=vpce-… accepts one
	$(call check,connections)
