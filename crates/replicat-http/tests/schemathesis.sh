#!/bin/sh
# Asks a node all that its description allows, and what it does not: schemathesis must be in PATH, and the command built.
# What fails is a failure of the server (5xx), or an answer that the description does not know.
set -eu
replicat=$(realpath "${1:-target/debug/replicat}")
place=$(mktemp -d)
export XDG_STATE_HOME="$place/state" XDG_RUNTIME_DIR="$place"
# What schemathesis remembers goes with the place.
cd "$place"
"$replicat" keygen --output "$place/key"
"$replicat" serve --json --name a --directory "site=$place/a" --create --cluster-key-file "$place/key" \
    --http 127.0.0.1:0 >"$place/started" 2>"$place/log" &
node=$!
trap 'kill "$node"; wait "$node" || true; rm -rf "$place"' EXIT
while ! [ -s "$place/started" ]; do
    kill -0 "$node"
    sleep 0.1
done
address=$(sed 's/.*"http":"\([^"]*\)".*/\1/' "$place/started")
token=$("$replicat" api token create --node a --name schemathesis --scope admin)
printf '[parameters]\nfolder = "site"\n' >"$place/schemathesis.toml"
echo content >"$place/a/list"
schemathesis --config-file "$place/schemathesis.toml" run "http://$address/api/openapi.json" \
    -H "Authorization: Bearer $token" -H "X-Replicat-Request: 1" \
    --checks not_a_server_error,response_schema_conformance,content_type_conformance \
    --exclude-path-regex '/stream$' --max-examples "${EXAMPLES:-50}"
