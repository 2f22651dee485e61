# Targets: bootstrap, diff, deploy, destroy. A folder's Makefile may add files to build to `before-deploy`, `before-diff` and `before-synth`.

# The credentials of a deploy: exported AWS_* keys, or a profile.
PROFILE ?= $(AWS_PROFILE)
# The changes that the CDK CLI asks about: broadening (of permissions), any-change, never.
APPROVAL ?= broadening
# A profile hides exported keys: the SDK would prefer the keys, and the CLI might prefer the profile.
AS = $(if $(PROFILE),env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_PROFILE=$(PROFILE))
CDK := node_modules/.bin/cdk
OUTPUTS := .outputs/$(FOLDER).json

$(CDK): package-lock.json $(VENV)/installed
	@echo "$(FOLDER): installing the pinned CDK CLI from npm"
	@npm ci --silent && touch $@

# $(call check,bootstrap|deploy|destroy|diff): runs the checks of preflight.py; a failed check ends make before the first change.
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
destroy: $(VENV)/installed ## Delete the stack; retained resources stay
	$(call check,destroy)
	@$(MAKE) --silent $(CDK)
	@# CloudFormation deletes by stack name, so the last synthesized template of the account and region is enough.
	@grep -qs '"aws://$(AWS_ACCOUNT)/$(AWS_REGION)"' cdk.out/manifest.json || { mkdir -p .local && \
		$(MAKE) --silent before-synth && $(LOCAL) AWS_ACCOUNT=$(AWS_ACCOUNT) AWS_REGION=$(AWS_REGION) AZ_IDS=$(AZ_IDS) SERVICES= \
		CDK_VALIDATION=false CDK_OUTDIR=cdk.out $(PY) app.py; }
	@# --build '' skips the check that cdk.json may name: nothing is synthesized here.
	@$(AS) $(CDK) destroy --all --app cdk.out --build '' $(if $(filter never,$(APPROVAL)),--force)
	@rm -f $(OUTPUTS)

# The checks of a deploy alone. UNKNOWN names variables whose values a later deploy yields.
.PHONY: preflight
preflight: $(VENV)/installed
	$(call check,deploy)$(if $(UNKNOWN), $(UNKNOWN))

.PHONY: install
install: $(VENV)/installed $(CDK) ## Download everything that a deploy needs, before credentials are there

.PHONY: before-deploy before-diff before-synth
before-deploy:
before-diff:
before-synth:
