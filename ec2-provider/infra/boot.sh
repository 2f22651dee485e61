#!/bin/bash
# Boots an instance without the internet. It is the tail of the user data, which exports before it
#   BUNDLE_URI  TABLE_NAME  AWS_REGION  [SIGNAL_URL]  [ACCESS_LOG]  [LOG_GROUP]
# Every step is bounded; tests/test_boot.py adds the bounds up, because the group replaces an instance that takes too long.
# The first step that fails ends the boot and is signalled at once.
set -euo pipefail
root=${BOOT_ROOT:-} # only tests set it

retry() { # retry SECONDS COMMAND…: three tries of at most SECONDS each, for what needs the network
  local seconds=$1 try
  shift
  for try in 1 2 3; do
    timeout "$seconds" "$@" && return
    echo "try $try of 3 failed: $*"
    [[ $try == 3 ]] || sleep $((2 ** try))
  done
  return 1
}

signal() { # signal SUCCESS|FAILURE REASON: to the wait condition of the stack's creation
  [[ -n ${SIGNAL_URL:-} ]] || return 0
  local body
  printf -v body '{"Status":"%s","Reason":"%s","UniqueId":"%s","Data":""}' \
    "$1" "$2" "$(cat "$root/var/lib/cloud/data/instance-id")"
  # The URL is valid for a day. Instances that come later are not waited for, so a refused signal is only noted.
  curl --fail --silent --show-error --max-time 10 --retry 2 --retry-connrefused \
    --request PUT --header 'Content-Type:' --data-binary "$body" "$SIGNAL_URL" ||
    echo "the signal $1 was not taken: no stack creation is waiting any more"
}

finish() {
  if (($?)); then
    echo "boot failed: could not $step"
    signal FAILURE "could not $step, see the console output of the instance"
    journalctl --no-pager --unit todo --lines 30
  fi
}

ship_logs() { # to CloudWatch: the agent reads files only, so the unit writes one
  retry 60 dnf install -y -q amazon-cloudwatch-agent
  mkdir -p "$root/etc/systemd/system/todo.service.d" "$root/etc/logrotate.d" "$root/var/log/todo"
  printf '[Service]\nStandardOutput=append:%s\nStandardError=inherit\n' /var/log/todo/todo.log \
    >"$root/etc/systemd/system/todo.service.d/log.conf"
  printf '%s {\n  size 50M\n  rotate 2\n  copytruncate\n  missingok\n}\n' /var/log/todo/todo.log >"$root/etc/logrotate.d/todo"
  local file='{"file_path": "%s", "log_group_name": "%s", "log_stream_name": "{instance_id}/%s"}'
  # shellcheck disable=SC2059 # the format is the line above
  printf "{\"logs\": {\"logs_collected\": {\"files\": {\"collect_list\": [$file, $file]}}}}\n" \
    /var/log/todo/todo.log "$LOG_GROUP" todo /var/log/todo-boot.log "$LOG_GROUP" boot >"$root/etc/todo-logs.json"
  amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -c "file:$root/etc/todo-logs.json" -s
}

boot() {
  trap finish EXIT
  step="read the settings"
  : "${BUNDLE_URI:?}" "${TABLE_NAME:?}" "${AWS_REGION:?}"

  step="fetch the bundle"
  local bundle="$root/opt/todo-bundle"
  mkdir -p "$bundle" "$root/etc/systemd/system"
  retry 20 aws s3 cp --only-show-errors "$BUNDLE_URI" "$bundle.tar.gz"
  tar -xzf "$bundle.tar.gz" -C "$bundle"

  step="install Python"
  retry 60 dnf install -y -q "python$(cat "$bundle/python-version")"

  step="install the service"
  timeout 90 "$bundle/install.sh" "$root/opt/todo"
  printf '%s=%s\n' TABLE_NAME "$TABLE_NAME" AWS_REGION "$AWS_REGION" ACCESS_LOG "${ACCESS_LOG:-on}" \
    >"$root/etc/todo.env"
  install -m 644 "$bundle/todo.service" "$root/etc/systemd/system/todo.service"

  if [[ -n ${LOG_GROUP:-} ]]; then
    step="ship the logs"
    ship_logs
  fi

  step="start the service"
  systemctl daemon-reload
  systemctl enable --now todo
  curl --fail --silent --show-error --max-time 2 --retry 60 --retry-delay 1 --retry-max-time 60 --retry-all-errors \
    http://127.0.0.1:8080/healthz

  signal SUCCESS "todo answers"
}

boot 2>&1 | tee -a "$root/var/log/todo-boot.log" >"$root/dev/console"
