#!/usr/bin/env bash
# PostgreSQL and Redis for the tests, on loopback, with their data in a folder.
#
#   packages/scripts/servers.sh start DIR       starts both, and prints the environment that the tests want, for `eval`
#   packages/scripts/servers.sh stop DIR        stops both
#   packages/scripts/servers.sh restart DIR postgres|redis
#   packages/scripts/servers.sh pause DIR postgres|redis, and then: resume DIR postgres|redis
set -eu
command=$1 dir=$2
export PATH="$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"

# PostgreSQL refuses to run as root.
postgres() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

start_postgres() {
  postgres pg_ctl -D "$dir/postgres/data" -s -w -l "$dir/postgres/log" \
    -o "-p $(cat "$dir/postgres.port") -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir/postgres -c fsync=off" \
    start >&2
}

# Everything that was written is there after a restart.
start_redis() {
  redis-server --port "$(cat "$dir/redis.port")" --bind 127.0.0.1 --dir "$dir/redis" --daemonize yes \
    --pidfile "$dir/redis/pid" --logfile "$dir/redis/log" --appendonly yes --appendfsync no --save "" >/dev/null
  until redis-cli -p "$(cat "$dir/redis.port")" ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
}

stop_postgres() { postgres pg_ctl -D "$dir/postgres/data" -s -m fast -w stop >&2; }
stop_redis() {
  local pid
  pid=$(cat "$dir/redis/pid")
  redis-cli -p "$(cat "$dir/redis.port")" shutdown >/dev/null 2>&1 || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

case $command in
start)
  mkdir -p "$dir/postgres" "$dir/redis"
  free_port >"$dir/postgres.port"
  free_port >"$dir/redis.port"
  if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$dir/postgres" && chmod 755 "$dir"; fi
  postgres initdb -D "$dir/postgres/data" -A trust -U postgres --no-sync >/dev/null
  start_postgres
  start_redis
  echo "export LLM_CACHE_TEST_POSTGRES=postgres://postgres@127.0.0.1:$(cat "$dir/postgres.port")/postgres"
  echo "export LLM_CACHE_TEST_REDIS=redis://127.0.0.1:$(cat "$dir/redis.port")"
  echo "export LLM_CACHE_TEST_SERVERS=$dir"
  ;;
stop)
  stop_redis
  stop_postgres
  ;;
restart) "$0" pause "$dir" "$3" && "$0" resume "$dir" "$3" ;;
pause) "stop_$3" ;;
resume) "start_$3" ;;
*)
  echo "unknown command: $command" >&2
  exit 2
  ;;
esac
