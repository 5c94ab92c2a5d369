#!/bin/bash
# Checks whether this container's node serves requests. Uses bash, because the image has no curl and
# starting Node is more expensive.
exec 3<>"/dev/tcp/127.0.0.1/${HEALTH_PORT:-3030}" || exit 1
printf 'GET /health/serving HTTP/1.0\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
