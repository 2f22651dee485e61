# Targets: $(VENV)/installed (to run and to deploy), $(VENV)/dev (to test and to lint), the local template, help.
# Function: $(call port_is_free,VARIABLE). A folder sets LOCAL_SETTINGS.

ifneq ($(words $(CURDIR)),1)
$(error the path "$(CURDIR)" has a space, which make cannot handle; move the checkout to a path without one)
endif
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
FOLDER := $(notdir $(CURDIR))
# The environment's node, npx, go and envoy come before whatever the machine has.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# uv comes into the environment by pip, its hash checked, unless the caller hands one over.
OWN_UV := $(CURDIR)/$(VENV)/bin/uv
UV ?= $(OWN_UV)

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed, $(PYTHON) is not; set PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@echo "*" > $(VENV)/.gitignore

$(OWN_UV): | $(VENV)/pyvenv.cfg
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > $(VENV)/uv.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.txt

# $(call install,requirements files): prints the number of packages before it downloads them, and the size and the time after.
define install
	@packages=$$(cat $(1) | grep -c '==') && start=$$(date +%s) && \
	echo "$(FOLDER): installing $$packages pinned packages from PyPI into $(FOLDER)/$(VENV) (downloads what uv has not cached)" && \
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip sync --quiet --require-hashes --python $(PY) $(1) && \
	echo "$(FOLDER): $$(du -sm $(VENV) | cut -f1) MB installed in $$(( $$(date +%s) - start )) s"
endef

$(VENV)/installed: requirements.txt | $(VENV)/pyvenv.cfg $(UV)
	$(call install,requirements.txt)
	@rm -f $(VENV)/dev && touch $@

# After `installed`, which would take away what this one adds; `make --jobs` starts both at once.
$(VENV)/dev: requirements.txt requirements-dev.txt | $(VENV)/installed
	$(call install,requirements.txt requirements-dev.txt)
	@touch $@

# $(call port_is_free,VARIABLE): stops at a value that is no port, and at a port that is in use, with the variable's name.
define port_is_free
	@$(PY) -c 'import socket, sys; port = "$($(1))"; \
	port.isdecimal() and 0 < int(port) < 65536 or sys.exit(f"error: $(1) is {port!r}, expected a port from 1 to 65535"); \
	sys.exit(0 if socket.socket().connect_ex(("127.0.0.1", int(port))) else \
	"error: port $($(1)) is already in use; end what listens there or choose another: make … $(1)=<port>")' || exit 2
endef

# A local template never takes the settings of a deploy, which may be exported.
LOCAL = env -i PATH="$(PATH)" HOME="$(HOME)" $(LOCAL_SETTINGS)

# Changes when the settings do.
.local/settings: FORCE
	@mkdir -p .local; echo '$(LOCAL_SETTINGS)' | cmp -s - $@ || echo '$(LOCAL_SETTINGS)' > $@

.local/cdk.out/$(FOLDER).template.json: app.py $(wildcard infra/* common/*) $(VENV)/installed .local/settings
	@$(LOCAL) CDK_VALIDATION=false CDK_OUTDIR=.local/cdk.out $(PY) app.py
	@touch $@

.PHONY: FORCE
FORCE:

##@ Maintain
.PHONY: requirements
requirements: $(UV) ## Compile the pinned, hashed requirements from *.in (UPGRADE=--upgrade for newer ones)
	@for name in requirements requirements-dev; do \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE) \
			--output-file $$name.txt $$name.in || exit 1; done

.PHONY: help
help: ## Show this text
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
