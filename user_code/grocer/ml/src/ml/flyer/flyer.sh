#!/bin/sh
# Writes a flyer for the stores with the five busiest forecast days; needs POSIX shell and awk only.
#
#   flyer.sh FOLDER            read FOLDER/predicted_orders.csv, write FOLDER/flyer.md
#   flyer.sh --serve FOLDER    do so for each FOLDER/go, and write the exit code to FOLDER/done:
#                              the requests of a step to its sidecar container
#
# Reports to Dagster line by line in FOLDER/messages, with the Pipes protocol: see PipesMessage in the
# package dagster-pipes.
set -eu
export LC_ALL=C # a decimal point is a point

report() { # METHOD PARAMS
    printf '{"__dagster_pipes_version": "0.1", "method": "%s", "params": %s}\n' "$1" "$2" \
        >>"$folder/messages"
}

make_flyer() {
    report opened '{"extras": {}}'
    if [ "$(wc -l <"$folder/predicted_orders.csv")" -lt 2 ]; then
        reason="predicted_orders.csv has no rows, so there is no flyer"
        report closed '{"exception": {"name": "EmptyForecast", "message": "'"$reason"'", "stack": [], "cause": null, "context": null}}'
        echo "$reason" >&2
        return 1
    fi
    # Columns: order_date,weekday,orders,lower,upper.
    tail -n +2 "$folder/predicted_orders.csv" | sort -t , -k 3,3 -rn | head -n 5 | sort |
        awk -F , '
            NR == 1 { print "# Many hands, please\n\nOur five busiest days:\n" }
            { printf "- **%s %s**: about %d orders, perhaps %d\n", $2, $1, $3 + 0.5, $5 + 0.5 }
        ' >"$folder/flyer.md"
    # A flyer's line breaks are written as \n in JSON; it has no quotes and no backslashes.
    text=$(awk '{ printf "%s\\n", $0 }' "$folder/flyer.md")
    days=$(grep -c '^- ' "$folder/flyer.md")
    report report_asset_materialization '{"asset_key": "store_flyer", "data_version": null, "metadata": {"flyer": {"type": "md", "raw_value": "'"$text"'"}, "days": {"type": "int", "raw_value": '"$days"'}}}'
    report closed '{}'
}

serve() {
    trap 'exit 0' TERM INT
    while :; do
        if [ -e "$folder/go" ]; then
            rm "$folder/go"
            code=0
            sh "$0" "$folder" || code=$?
            echo "$code" >"$folder/done.part"
            mv "$folder/done.part" "$folder/done"
        fi
        # In the background, so that a signal need not wait for its end.
        sleep 0.2 &
        wait $!
    done
}

if [ "${1-}" = --serve ]; then
    folder=$2
    serve
fi
folder=$1
make_flyer
