# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# nginx, a master and two workers, under wrk: files, gzip, server-side includes, a proxy to itself,
# and a reload at the end.
needs="nginx wrk perl"
only=all
binaries="nginx wrk"
compares="status lines and bodies of replies, wrk's errors; not the number of requests. Time is that per
  request; peak RSS is that of the workers"

configure() {
  mkdir -p www tmp
  seq 1 2000 >www/numbers.txt
  awk 'BEGIN { srand(7); for (i = 0; i < 20000; i++) printf "%d line %d of a longer page\n", rand() * 1e6, i }' >www/long.txt
  echo '<p>before <!--#include virtual="/numbers.txt" --> after <!--#echo var="document_uri" -->' >www/page.shtml
  chmod -R a+rX . && chmod a+rwx tmp
  cat >nginx.conf <<END
user nobody nogroup;
worker_processes 2;
pid $PWD/pid;
error_log $PWD/errors warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $PWD/tmp/body; proxy_temp_path $PWD/tmp/proxy; fastcgi_temp_path $PWD/tmp/fastcgi;
  uwsgi_temp_path $PWD/tmp/uwsgi; scgi_temp_path $PWD/tmp/scgi;
  server {
    listen 127.0.0.1:$1;
    keepalive_requests 500;
    root $PWD/www;
    default_type text/plain;
    gzip on; gzip_types text/plain; gzip_min_length 100;
    location /hello { return 200 "hello\n"; }
    location ~ shtml { ssi on; ssi_types text/plain; }
    location ^~ /proxy/ { proxy_pass http://127.0.0.1:$1/; proxy_buffers 4 8k; }
  }
}
END
}

# fetch PORT PATH: the status line, and the body's checksum.
fetch() {
  { exec 3<>"/dev/tcp/127.0.0.1/$1"; } || return
  printf 'GET %s HTTP/1.0\r\nHost: here\r\n%s\r\n' "$2" "${3-}" >&3
  cat <&3 >reply
  exec 3>&-
  echo "$2 $(head -n 1 reply | tr -d '\r') $(sed '1,/^\r$/d' reply | sha256sum)"
}

# load PORT PATH SECONDS: prints requests per second to a file, and errors if there are any.
load() {
  wrk -t 2 -c 16 -d "$3" -H 'Accept-Encoding: gzip' "http://127.0.0.1:$1$2" >wrk.log
  awk '/Requests\/sec/ { print 10000 / $2 }' wrk.log >>rates
  grep -E 'Non-2xx|Socket errors' wrk.log || echo "$2: no errors"
}

run() {
  # shellcheck source=/dev/null
  . "$tests/server.sh"
  local port seconds=1
  [ "$level" = quick ] || seconds=2
  port=$(free_port)
  configure "$port"
  serve nginx -p "$PWD" -c "$PWD/nginx.conf" -g 'daemon off;'
  until_ready fetch "$port" /hello
  for path in /hello /numbers.txt /long.txt /page.shtml /proxy/long.txt /nothing; do
    fetch "$port" "$path"
    fetch "$port" "$path" $'Accept-Encoding: gzip\r\n'
  done
  load "$port" /hello "$seconds"
  load "$port" /long.txt "$seconds"
  load "$port" /proxy/page.shtml "$seconds"
  # shellcheck disable=SC2046  # a word for each worker
  note_peak $(cat "/proc/$server/task/$server/children")
  kill -HUP "$server"
  sleep 0.3
  fetch "$port" /page.shtml
  note_seconds "$(awk '{ sum += $1 } END { print sum }' rates)"
  stop_server QUIT
  grep -v -E '"user" directive|No such file' errors || true
}
