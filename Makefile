# Everything that spans the three folders. Each folder has a Makefile of its own: make -C ecs-provider help
include ecs-provider/common/environment.mk

FOLDERS := ecs-provider ec2-provider global-apigw
API_PORT ?= 8080
DOGS_PORT ?= 8081
TODO_PORT ?= 8082
DYNAMODB_PORT ?= 8000
DOCS_PORT ?= 8090
PORTS = $(API_PORT) $(DOGS_PORT) $(TODO_PORT) $(DYNAMODB_PORT) $(DOCS_PORT)
# Where the local API finds the providers, by listener port; any other service of the registry is at its listener port.
ENDPOINTS := 8081=127.0.0.1:$(DOGS_PORT) 8082=127.0.0.1:$(TODO_PORT)
# A URL on loopback that somebody has given means the local run.
LOCAL_URL := $(filter http://127.0.0.1:% http://localhost:% https://127.0.0.1:% https://localhost:%,$(URL))
OTHER_URL := $(filter-out $(LOCAL_URL),$(URL))
URL ?= http://127.0.0.1:$(API_PORT)
export API_PORT DOGS_PORT TODO_PORT DYNAMODB_PORT DOCS_PORT ENDPOINTS SERVICES SCOPE TOKEN CURL PICTURE
# The folders install with the same uv.
export UV

##@ Try it
.PHONY: local
local: $(VENV)/installed ## Run the whole path on loopback: no AWS account, no Docker
	$(call port_is_free,API_PORT)
	$(call port_is_free,DOGS_PORT)
	$(call port_is_free,TODO_PORT)
	$(call port_is_free,DYNAMODB_PORT)
	$(call port_is_free,DOCS_PORT)
	$(if $(filter-out $(words $(PORTS)),$(words $(sort $(PORTS)))),$(error two parts have the same port: $(PORTS), of API_PORT, DOGS_PORT, \
		TODO_PORT, DYNAMODB_PORT and DOCS_PORT))
	@start=$$(date +%s) && $(MAKE) --silent build-all && echo "built in $$(( $$(date +%s) - start )) s"
	@# Through a pipe, so that the supervisor itself gets the signals. tee ends after it.
	@mkdir -p .local && rm -f .local/pipe && mkfifo .local/pipe && { (trap '' INT TERM; exec tee .local/log) <.local/pipe & } && \
		exec $(VENV)/bin/honcho start >.local/pipe

.PHONY: build-all $(FOLDERS:%=build-%)
build-all:
	@$(MAKE) --silent $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=3) $(FOLDERS:%=build-%) $(PAGE)
$(FOLDERS:%=build-%): build-%: $(UV)
	@$(MAKE) --silent -C $* build

# The page of the API, of the registry of the local run. Its script comes from npm, which global-apigw's environment has.
LOCAL_SETTINGS := SERVICES=$(SERVICES)
REGISTRY := $(or $(SERVICES),services.toml)
PAGE := .local/docs/index.html
SCALAR := tools/page/node_modules/@scalar/api-reference/dist/browser/standalone.js
$(SCALAR): tools/page/package-lock.json | build-global-apigw
	@echo "$(FOLDER): installing the pinned page of the API from npm"
	@cd tools/page && PATH=$(CURDIR)/global-apigw/$(VENV)/bin:$$PATH npm ci --loglevel=error >/dev/null && touch -c $(CURDIR)/$@

$(PAGE): $(SCALAR) $(wildcard tools/openapi.* tools/page/*.* */openapi.yaml global-apigw/$(REGISTRY) $(REGISTRY)) .local/settings | build-global-apigw
	@mkdir -p $(@D) && cp $(SCALAR) $(@D)/scalar.js
	@global-apigw/$(PY) -m tools.page $(REGISTRY) $@

.PHONY: run-docs
run-docs: $(PAGE)
	@sed 's/<DOCS_PORT>/$(DOCS_PORT)/; s/<API_PORT>/$(API_PORT)/' tools/page/envoy.yaml > .local/page.yaml
	@PATH=$(CURDIR)/global-apigw/$(VENV)/bin:$$PATH exec $(or $(ENVOY),envoy) -c .local/page.yaml --disable-hot-restart \
		--log-level warning --concurrency 1

.PHONY: token
token: $(UV) ## Print a token for the local API, for a registry that asks for one: SCOPE="todo.read todo.write"
	@$(MAKE) --silent -C global-apigw token

.PHONY: certificate
certificate: $(UV)
	@$(MAKE) --silent -C global-apigw certificate

.PHONY: smoke
smoke: ## Try each route of the API at URL (default: the local one) with curl
	@$(PYTHON) tools/smoke.py $(URL)

##@ Deploy it (docs/deploy.md says what to export)
# One account at a time: export AWS_ACCOUNT and its credentials. All in one go: an account and a profile for each team.
as = $(strip $(if $($(1)_ACCOUNT),AWS_ACCOUNT=$($(1)_ACCOUNT)) $(if $($(1)_PROFILE),PROFILE=$($(1)_PROFILE)) \
	$(foreach name,ALARM_TOPIC_ARN CERTIFICATE_ARN,$(if $($(1)_$(name)),$(name)=$($(1)_$(name)))) \
	$(if $(GATEWAY_ACCOUNT),API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::$(GATEWAY_ACCOUNT):root))
NEEDED := $(foreach team,ECS EC2 GATEWAY,$(team)_ACCOUNT $(team)_PROFILE)

.PHONY: diff
diff: $(VENV)/installed ## Say what a deploy of all three would change for others and in cost, then show the CDK's diffs
	$(call all_are_set,$(NEEDED))
	@$(MAKE) --silent -C ecs-provider explain $(call as,ECS)
	@$(MAKE) --silent -C ec2-provider explain $(call as,EC2)
	@$(PYTHON) tools/service_names.py make --silent -C global-apigw explain $(call as,GATEWAY)
	@global-apigw/$(PY) -m tools.changes
	@$(MAKE) --silent -C ecs-provider cdk-diff $(call as,ECS)
	@$(MAKE) --silent -C ec2-provider cdk-diff $(call as,EC2)
	@$(MAKE) --silent -C global-apigw cdk-diff $(call as,GATEWAY)

.PHONY: deploy-ecs
deploy-ecs: $(UV) ## Push the image and deploy ecs-provider
	@$(MAKE) --silent -C ecs-provider deploy $(call as,ECS)

.PHONY: deploy-ec2
deploy-ec2: $(UV) ## Build the bundle and deploy ec2-provider
	@$(MAKE) --silent -C ec2-provider deploy $(call as,EC2)

.PHONY: deploy-gateway
deploy-gateway: $(UV) ## Deploy global-apigw, with the service names of the providers
	@# Its outputs are newer than the template also if the deploy ends with an endpoint that waits for acceptance.
	@code=0; $(PYTHON) tools/service_names.py make --silent -C global-apigw deploy $(call as,GATEWAY) || code=$$?; \
	test ! global-apigw/.outputs/global-apigw.json -nt global-apigw/cdk.out/manifest.json || sed -n -e 's|.*"DomainRecord": "\(.*\)".*|create this DNS record, if it is not there yet: \1|p' \
		-e 's|.*"HttpApiEndpoint": "\(.*\)".*|deployed; try it: make smoke URL=\1|p' global-apigw/.outputs/global-apigw.json; \
	exit $$code

.PHONY: deploy
deploy: $(UV) ## Deploy all three in order, each to its account with its profile
	$(call all_are_set,$(NEEDED))
	$(if $(ALARM_TOPIC_ARN),$(error ALARM_TOPIC_ARN would be the topic of all three accounts: name each team's instead with \
		ECS_ALARM_TOPIC_ARN, EC2_ALARM_TOPIC_ARN and GATEWAY_ALARM_TOPIC_ARN; a topic that they share needs the policy in docs/deploy.md))
	$(if $(CERTIFICATE_ARN),$(error CERTIFICATE_ARN would be that of both providers: name each team's instead with ECS_CERTIFICATE_ARN and \
		EC2_CERTIFICATE_ARN))
	@$(PYTHON) tools/service_names.py >/dev/null
	@$(MAKE) --silent -C ecs-provider preflight $(call as,ECS)
	@$(MAKE) --silent -C ec2-provider preflight $(call as,EC2)
	@$(MAKE) --silent -C global-apigw preflight $(call as,GATEWAY) UNKNOWN="$$($(PYTHON) tools/service_names.py)"
	@$(MAKE) --silent deploy-ecs
	@$(MAKE) --silent deploy-ec2
	@$(MAKE) --silent deploy-gateway

.PHONY: drift
drift: $(UV) ## Show what was changed by hand in the three accounts since the deploys
	$(call all_are_set,$(NEEDED))
	@$(MAKE) --silent -C ecs-provider drift $(call as,ECS)
	@$(MAKE) --silent -C ec2-provider drift $(call as,EC2)
	@$(MAKE) --silent -C global-apigw drift $(call as,GATEWAY)

.PHONY: destroy
destroy: $(UV) ## Delete all three, the gateway first; the table and the image repository stay
	$(call all_are_set,$(NEEDED))
	@$(MAKE) --silent -C global-apigw destroy $(call as,GATEWAY)
	@$(MAKE) --silent -C ec2-provider destroy $(call as,EC2)
	@$(MAKE) --silent -C ecs-provider destroy $(call as,ECS)

# $(call all_are_set,VARIABLES): stops with the names of those that are empty.
missing = $(strip $(foreach name,$(1),$(if $($(name)),,$(name))))
all_are_set = $(if $(call missing,$(1)),$(error $(call missing,$(1)) missing: all three in one go needs an account and a \
	profile for each, such as ECS_ACCOUNT=222222222222 ECS_PROFILE=dogs))

##@ Find out why (the local run, or the deployed accounts)
# It reads the gateway's account, by GATEWAY_PROFILE or exported credentials, and those of the other profiles that are set; or the
# local run, if URL is on loopback.
.PHONY: doctor
doctor: $(UV) ## Say what is broken between a route and its service: ROUTE="GET /dogs", without it every route
	$(call of_local)
	@$(if $(LOCAL_URL),$(MAKE) --silent -C ecs-provider synth && PYTHONPATH=global-apigw global-apigw/$(PY) -m tools.doctor "$(LOCAL_URL)" "$$ROUTE",\
		$(MAKE) --silent -C global-apigw doctor $(call as,GATEWAY) OTHER_PROFILES="$(ECS_PROFILE) $(EC2_PROFILE)")

# A URL means the local run, which leaves its log.
of_local = $(if $(OTHER_URL),$(error URL is $(OTHER_URL), expected http://127.0.0.1:<port> of the local run; without URL the deployed \
	accounts are read))@$(if $(LOCAL_URL),test -f .local/log || { echo "error: make local has not run in this checkout; start it first" >&2; exit 2; })

.PHONY: follow
follow: $(UV) ## Show the lines of one request in all logs, in order of time: REQUEST=<apigw-requestid>
	$(call of_local)
	@$(if $(LOCAL_URL),cd global-apigw && $(PY) -m common.follow "$$REQUEST" ../.local/log,\
		$(MAKE) --silent -C global-apigw follow $(call as,GATEWAY) OTHER_PROFILES="$(ECS_PROFILE) $(EC2_PROFILE)")

.PHONY: conformance
conformance: $(UV) ## Ask the API at URL what API Gateway is known, or assumed, to answer; TOKEN=… and CURL=… ask more
	@$(MAKE) --silent -C global-apigw conformance URL=$(URL) CURL="$(foreach word,$(CURL),$(if $(wildcard $(word)),$(abspath $(word)),$(word)))"

##@ Check it
.PHONY: test
test: $(UV) ## Run every folder's tests, the contracts and one end-to-end test
	@$(MAKE) --silent --jobs=2 $(FOLDERS:%=test-%)
	@$(MAKE) --silent test-together

.PHONY: test-together $(FOLDERS:%=test-%)
$(FOLDERS:%=test-%): test-%: $(UV)
	@echo "== $*: test" && $(MAKE) --silent -C $* test
test-together: $(VENV)/dev build-all
	@$(MAKE) --silent -C ecs-provider synth
	@echo "== tests" && $(PY) -m pytest -m "not slow"

.PHONY: test-image
test-image: $(UV)
	@echo "== ecs-provider: test-image" && $(MAKE) --silent -C ecs-provider test-image

.PHONY: lint $(FOLDERS:%=lint-%)
lint: $(UV) $(VENV)/dev ## Run every linter, cfn-lint and cdk-nag
	@$(MAKE) --silent --jobs=2 $(FOLDERS:%=lint-%)
	@echo "== root: lint" && $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check --quiet . && $(VENV)/bin/mypy
	@$(GO) vet -C bench/baselines .
	@$(PY) -m tests.code_lines
$(FOLDERS:%=lint-%): lint-%: $(UV)
	@echo "== $*: lint" && $(MAKE) --silent -C $* lint

.PHONY: rehearse $(FOLDERS:%=cdk-%)
rehearse: $(FOLDERS:%=cdk-%) $(VENV)/dev ## Rehearse the deploys, and what goes wrong before them, in three emulated accounts
	@echo "== rehearsal" && $(PY) -m pytest tests/rehearsal
$(FOLDERS:%=cdk-%): cdk-%: $(UV)
	@$(MAKE) --silent -C $* .venv/installed node_modules/.bin/cdk

.PHONY: rehearse-boot
rehearse-boot: $(UV)
	@echo "== ec2-provider: rehearse-boot" && $(MAKE) --silent -C ec2-provider rehearse-boot

.PHONY: check
check: lint ## Run all that CI runs: lint, test, the image, the rehearsals and the slower suites
	@$(MAKE) --silent --jobs=2 test-together test-image
	@$(MAKE) --silent --jobs=3 $(FOLDERS:%=cdk-%)
	@# Alone: it measures seconds.
	@$(MAKE) --silent rehearse-boot SKIP=1
	@# The slower suites run each folder's tests in a copy elsewhere.
	@# Three processes, because these tests mostly wait; tests/conftest.py has their order.
	@echo "== rehearsal and slower suites" && $(PY) -m pytest --numprocesses=3 --dist=loadscope --no-loadscope-reorder -m slow -rs

##@ Write what is computed
# Another registry needs a file of its own, which is all that is written then: make docs SERVICES=examples/secured.toml TO=secured.yaml
.PHONY: docs tables openapi
docs: $(if $(TO),,tables) openapi $(PAGE) ## Write the tables, the pictures, docs/openapi.yaml and a page of it; PICTURE=1 renews its picture
	@echo "the page of the API: file://$(CURDIR)/$(PAGE)"
	@$(if $(PICTURE),$(MAKE) --silent $(VENV)/dev && $(PY) -m pytest -m slow -rs -k file tests/test_docs_page.py)

# What the templates open, draw and cost.
tables: $(VENV)/installed $(FOLDERS:%=synth-%)
	@$(PY) -m tools.security && $(PY) -m tools.pictures && $(PY) -m tools.cost

openapi: build-global-apigw
	@global-apigw/$(PY) -m tools.openapi "$(SERVICES)" "$(TO)"

##@ Measure it
# Such as BENCH="--suite todos --rounds 9", which writes nothing; --suite whole times `make test` and the rehearsal.
BENCH ?= --write
.PHONY: bench
bench: $(VENV)/installed build-all $(FOLDERS:%=synth-%) bench/.venv/installed bench/node_modules/.bin/loadtest bench/.local/baselines ## Measure all side by side in 8 minutes, renew bench/results.json and bench/README.md
	@$(PY) -m bench $(BENCH)

bench/.venv/installed: bench/requirements.txt | $(UV)
	@$(UV) venv --quiet --clear --python $(PY) bench/.venv
	@VIRTUAL_ENV=bench/.venv $(UV) pip sync --quiet --require-hashes $<
	@touch $@

bench/node_modules/.bin/loadtest: bench/package-lock.json | build-ecs-provider
	@cd bench && PATH=../ecs-provider/.venv/bin:$$PATH npm ci --silent && touch -c ../$@

# Built with the compiler of ecs-provider; only the standard library is used.
GO := GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=0 ecs-provider/.venv/bin/go
bench/.local/baselines: $(wildcard bench/baselines/*) | build-ecs-provider
	@$(GO) build -C bench/baselines -trimpath -buildvcs=false -o ../.local/baselines .

.PHONY: $(FOLDERS:%=synth-%)
$(FOLDERS:%=synth-%): synth-%: $(UV)
	@$(MAKE) --silent -C $* synth

.PHONY: requirements-bench
requirements: requirements-bench
requirements-bench: $(UV)
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE) \
		--output-file bench/requirements.txt bench/requirements.in

.PHONY: clean
clean: ## Remove everything that make made
	@# What .gitignore names, but for .outputs: the deployed names are not made again.
	@for name in $$(sed '/^#/d; /^\.outputs/d; s|/$$||' .gitignore); do find . -name "$$name" -prune -exec rm -rf {} +; done
