# Gives bootstrap, diff, deploy, destroy. A folder's Makefile may say what `before-deploy`, `before-diff` and `before-synth` build.

# Whom to deploy as: exported AWS_* keys, or a profile.
PROFILE ?= $(AWS_PROFILE)
# What the CDK CLI asks before it changes: broadening (of permissions), any-change, never.
APPROVAL ?= broadening
# With a profile, exported keys are taken away: the SDK would prefer them and the CLI might not.
AS = $(if $(PROFILE),env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_PROFILE=$(PROFILE))
CDK := node_modules/.bin/cdk
OUTPUTS := .outputs/$(FOLDER).json

$(CDK): package-lock.json $(VENV)/installed
	@echo "$(FOLDER): installing the pinned CDK CLI from npm"
	@npm ci --silent && touch $@

# $(call check,bootstrap|preflight|deploy|destroy|diff): stops, before anything changes, at what would go wrong later.
check = @$(AS) $(PY) preflight.py $(1) $(APPROVAL)

##@ Deploy (README.md says which variables to export)
.PHONY: bootstrap
bootstrap: $(VENV)/installed ## Prepare the account for the CDK, once per account and region
	$(call check,bootstrap)
	@$(MAKE) --silent $(CDK)
	@$(AS) $(CDK) bootstrap --app '' aws://$(AWS_ACCOUNT)/$(AWS_REGION)

.PHONY: diff
diff: $(VENV)/installed ## Show what a deploy would change
	$(call check,diff)
	@$(MAKE) --silent $(CDK)
	@$(MAKE) --silent before-diff
	@CDK_OUTDIR=cdk.out $(PY) app.py
	@$(AS) $(CDK) diff --app cdk.out --build ''

.PHONY: deploy
deploy: $(VENV)/installed ## Deploy the stack; its outputs go to .outputs/
	$(call check,deploy)
	@$(MAKE) --silent $(CDK)
	@$(MAKE) --silent before-deploy
	@mkdir -p .outputs
	@$(AS) $(CDK) deploy --all --require-approval $(APPROVAL) --outputs-file $(OUTPUTS) || \
		{ $(AS) $(PY) preflight.py failed $(APPROVAL); exit 1; }

.PHONY: destroy
destroy: $(VENV)/installed ## Delete the stack; what is retained stays
	$(call check,destroy)
	@$(MAKE) --silent $(CDK)
	@# A stack is deleted by its name and account: what else is in the templates does not matter, so the last ones do.
	@grep -qs '"aws://$(AWS_ACCOUNT)/$(AWS_REGION)"' cdk.out/manifest.json || { mkdir -p .local && \
		$(MAKE) --silent before-synth && $(LOCAL) AWS_ACCOUNT=$(AWS_ACCOUNT) AWS_REGION=$(AWS_REGION) AZ_IDS=$(AZ_IDS) SERVICES= \
		CDK_VALIDATION=false CDK_OUTDIR=cdk.out $(PY) app.py; }
	@# --build '': cdk.json may name a check before each synth, and nothing is synthesized here.
	@$(AS) $(CDK) destroy --all --app cdk.out --build '' $(if $(filter never,$(APPROVAL)),--force)
	@rm -f $(OUTPUTS)

# All that a deploy checks, but for the variables in UNKNOWN: another deploy yields them, later.
.PHONY: preflight
preflight: $(VENV)/installed
	$(call check,preflight)$(if $(UNKNOWN), $(UNKNOWN))

.PHONY: install
install: $(VENV)/installed $(CDK) ## Download all that a deploy needs, while there are no credentials

.PHONY: before-deploy before-diff before-synth
before-deploy:
before-diff:
before-synth:
