#!/bin/bash
# Boots an instance without the internet. infra/fleet.py puts this script into the user data, after the lines that export
#   BUNDLE_URI  TABLE_NAME  AWS_REGION  [SIGNAL_URL]  [LOG_GROUP]
# Every step has a time limit. tests/test_boot.py adds the limits up, because the group replaces an instance that boots too long.
# The first step that fails ends the boot; its signal leaves at once.
set -euo pipefail
root=${BOOT_ROOT:-} # only tests set it
log=$root/var/log/todo-boot.log

retry() { # retry TRIES SECONDS COMMAND…: for commands that need the network; a try may take SECONDS, pauses take 15 s
  local tries=$1 seconds=$2 try
  shift 2
  for ((try = 1; try <= tries; try++)); do
    timeout "$seconds" "$@" && return
    echo "try $try of $tries failed: $*"
    ((try == tries)) || sleep 15
  done
  return 1
}

signal() { # signal SUCCESS|FAILURE LINES: sends the last LINES of the log to the wait condition of the stack's creation
  [[ -n ${SIGNAL_URL:-} ]] || return 0
  # The last line of the log goes first, because a console may show only the start of the reason. A signal may have 4,096 bytes:
  # docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
  # The URL is valid for a day. Nothing waits for the instances that boot later, so a refused signal does not fail their boot.
  tail -n "$2" "$log" | python3 -c '
import json, sys
*lines, last = sys.stdin.buffer.read().decode(errors="replace").splitlines()
signal = {"Status": sys.argv[1], "Reason": "\n".join([last, *lines]), "UniqueId": sys.argv[2], "Data": ""}
while len(body := json.dumps(signal)) > 4096:
    signal["Reason"] = last + "\n" + signal["Reason"][len(last) + 101 :]
print(body, end="")' "$1" "$(cat "$root/var/lib/cloud/data/instance-id")" |
    curl --fail --silent --show-error --max-time 10 --retry 2 --retry-connrefused \
      --request PUT --header 'Content-Type:' --data-binary @- "$SIGNAL_URL" ||
    echo "the signal $1 was not taken: no stack creation is waiting any more"
}

explain() {
  if (($?)); then
    journalctl --no-pager --quiet --unit todo --lines 15 || :
    echo "boot failed: could not $step"
  fi
}

ship_logs() { # to CloudWatch: the agent reads only files, so the service writes its log to a file
  mkdir -p "$root"/etc/systemd/system/{todo.service.d,logrotate.timer.d} "$root/etc/logrotate.d" "$root/var/log/todo"
  printf '[Service]\nStandardOutput=append:%s\nStandardError=inherit\n' /var/log/todo/todo.log \
    >"$root/etc/systemd/system/todo.service.d/log.conf"
  printf '%s {\n  size 50M\n  rotate 1\n  copytruncate\n  missingok\n}\n' /var/log/todo/todo.log >"$root/etc/logrotate.d/todo"
  # Once a day is too late for a file that grows by requests: tests/test_boot.py has the arithmetic.
  printf '[Timer]\nOnCalendar=\nOnCalendar=minutely\nAccuracySec=1s\n' >"$root/etc/systemd/system/logrotate.timer.d/often.conf"
  local file='{"file_path": "%s", "log_group_name": "%s", "log_stream_name": "{instance_id}/%s"}'
  # shellcheck disable=SC2059 # the format is the line above
  printf "{\"logs\": {\"logs_collected\": {\"files\": {\"collect_list\": [$file, $file]}}}}\n" \
    /var/log/todo/todo.log "$LOG_GROUP" todo /var/log/todo-boot.log "$LOG_GROUP" boot >"$root/etc/todo-logs.json"
  systemctl daemon-reload
  systemctl restart logrotate.timer
  amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -c "file:$root/etc/todo-logs.json" -s
}

boot() {
  trap explain EXIT
  step="read the settings"
  : "${BUNDLE_URI:?}" "${TABLE_NAME:?}" "${AWS_REGION:?}"

  step="fetch the bundle"
  local bundle="$root/opt/todo-bundle"
  mkdir -p "$bundle" "$root/etc/systemd/system"
  # Tries for 4 minutes: after a deploy, the instance's new right to read the bundle may take minutes to act.
  retry 8 15 aws s3 cp --only-show-errors "$BUNDLE_URI" "$bundle.tar.gz"
  tar -xzf "$bundle.tar.gz" -C "$bundle"

  step="install Python"
  retry 3 100 dnf install -y -q "python$(cat "$bundle/python-version")" ${LOG_GROUP:+amazon-cloudwatch-agent logrotate}

  step="install the service"
  timeout 90 "$bundle/install.sh" "$root/opt/todo"
  printf '%s=%s\n' TABLE_NAME "$TABLE_NAME" AWS_REGION "$AWS_REGION" >"$root/etc/todo.env"
  install -m 644 "$bundle/todo.service" "$root/etc/systemd/system/todo.service"

  if [[ -n ${LOG_GROUP:-} ]]; then
    step="ship the logs"
    ship_logs
  fi

  step="read the table $TABLE_NAME"
  # The service starts only after this read: when a deploy changes TABLE_NAME, the changed policies of role and endpoint
  # take minutes to act, and a wrong name must fail the boot before the load balancer sends requests to this instance.
  retry 8 10 aws dynamodb get-item --region "$AWS_REGION" --table-name "$TABLE_NAME" --key '{"id": {"S": "00000000"}}'

  step="start the service"
  systemctl daemon-reload
  systemctl enable --now todo
  curl --fail --silent --show-error --max-time 2 --retry 60 --retry-delay 1 --retry-max-time 60 --retry-all-errors \
    http://127.0.0.1:8080/healthz
  echo
  echo "todo answers"
}

end() { # runs after the pipeline below has ended, so that the log is complete
  if (($?)); then signal FAILURE 40; else signal SUCCESS 1; fi 2>&1 | tee -a "$log" >>"$root/dev/console"
}

trap end EXIT
boot 2>&1 | tee -a "$log" >>"$root/dev/console"
