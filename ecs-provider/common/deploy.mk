# Targets: bootstrap, diff, deploy, drift, doctor, follow, destroy. A folder's Makefile may add files to build to `before-deploy`, `before-diff` and `before-synth`.

# The credentials of a deploy: exported AWS_* keys, or a profile.
PROFILE ?= $(AWS_PROFILE)
# The changes that the CDK CLI asks about: broadening (of permissions), any-change, never.
APPROVAL ?= broadening
# A profile hides exported keys: the SDK would prefer the keys, and the CLI might prefer the profile.
AS = $(if $(PROFILE),env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_PROFILE=$(PROFILE))
CDK := node_modules/.bin/cdk
OUTPUTS := .outputs/$(FOLDER).json

# npm comes with the environment, whose later changes are none of the CLI.
$(CDK): package-lock.json | $(VENV)/installed
	@echo "$(FOLDER): installing the pinned CDK CLI from npm"
	@npm ci --silent && touch $@

# $(call check,VERB): runs the checks of preflight.py; a failed check ends make.
# A deploy reads ACCEPT and REPLACE, what it may change for others, from the environment.
check = @$(AS) $(PY) preflight.py $(1) $(APPROVAL)

##@ Deploy (README.md says which variables to export)
.PHONY: bootstrap
bootstrap: $(VENV)/installed ## Prepare the account for the CDK, once per account and region
	$(call check,bootstrap)
	@$(MAKE) --silent $(CDK)
	@$(AS) $(CDK) bootstrap --app '' aws://$(AWS_ACCOUNT)/$(AWS_REGION)

.PHONY: diff
diff: explain ## Say what a deploy would change for others, then show the CDK's diff
	@$(MAKE) --silent cdk-diff

# The two parts of `diff`, for the root, which says something of all folders in between.
.PHONY: explain cdk-diff
explain: $(VENV)/installed
	$(call check,diff)
	@$(MAKE) --silent $(CDK)
	@$(MAKE) --silent before-diff
	@CDK_OUTDIR=cdk.out $(PY) app.py
	$(call check,explain)
cdk-diff:
	@$(AS) $(CDK) diff --app cdk.out --build ''

.PHONY: deploy
deploy: $(VENV)/installed ## Deploy the stack; its outputs go to .outputs/
	$(call check,deploy)
	@$(MAKE) --silent $(CDK)
	@$(MAKE) --silent before-deploy
	@# The template that is compared is the one that is deployed: nothing is synthesized a second time.
	@CDK_OUTDIR=cdk.out $(PY) app.py
	$(call check,changes)
	@mkdir -p .outputs
	@$(AS) $(CDK) deploy --all --app cdk.out --build '' --require-approval $(APPROVAL) --outputs-file $(OUTPUTS) || \
		{ $(AS) $(PY) preflight.py failed $(APPROVAL); exit 1; }
	$(call check,deployed)

.PHONY: destroy
destroy: $(VENV)/installed ## Delete the stack; retained resources stay
	$(call check,destroy)
	@$(MAKE) --silent assembly
	@$(if $(filter never,$(APPROVAL)),,printf 'delete $(FOLDER) of account $(AWS_ACCOUNT) in $(AWS_REGION)? [y/N] ' && \
		read answer && [ "$$answer" = y ] || { echo "error: nothing was deleted, because the answer was not y" >&2; exit 2; })
	$(call check,delete)
	@# --build '' skips the check that cdk.json may name: nothing is synthesized here.
	@$(AS) $(CDK) destroy --all --app cdk.out --build '' --force
	@rm -f $(OUTPUTS)

.PHONY: drift
drift: $(VENV)/installed ## Show what was changed by hand since the deploy
	$(call check,drift)
	@$(MAKE) --silent assembly
	@$(AS) $(CDK) drift --app cdk.out --build ''

.PHONY: doctor
doctor: $(VENV)/installed ## Say what is broken in this account's part of the way, read-only
	$(call check,doctor)

.PHONY: follow
follow: $(VENV)/installed ## Show the lines of one request in this account's logs: REQUEST=<apigw-requestid>
	$(call check,follow)

# CloudFormation deletes, and compares with what is there, by stack name: the last synthesized template of the account and
# region is enough.
.PHONY: assembly
assembly: $(CDK)
	@grep -qs '"aws://$(AWS_ACCOUNT)/$(AWS_REGION)"' cdk.out/manifest.json || { mkdir -p .local && \
		$(MAKE) --silent before-synth && $(LOCAL) AWS_ACCOUNT=$(AWS_ACCOUNT) AWS_REGION=$(AWS_REGION) AZ_IDS=$(AZ_IDS) SERVICES= \
		CDK_VALIDATION=false CDK_OUTDIR=cdk.out $(PY) app.py; }

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
