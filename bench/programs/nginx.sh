# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# nginx: two workers under wrk: small replies, files with gzip, a proxy to itself. The time is that of 100 000 requests.
needs="nginx wrk perl"
configure() {
  mkdir -p www tmp
  seq 1 2000 >www/numbers.txt
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
    keepalive_requests 200;
    root $PWD/www;
    default_type text/plain;
    gzip on; gzip_types text/plain; gzip_min_length 100;
    location /hello { return 200 "hello\n"; }
    location ^~ /proxy/ { proxy_pass http://127.0.0.1:$1/; proxy_buffers 4 8k; }
  }
}
END
}
load_it() {
  for path in /hello /numbers.txt /proxy/numbers.txt; do
    wrk -t 2 -c 16 -d 1 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$1$path" >wrk.log
    awk '/Requests\/sec/ { print 33333 / $2 }' wrk.log >>rates
    grep -E 'Non-2xx|Socket errors' wrk.log || echo "$path: no errors"
  done
}
run() {
  local port
  port=$(free_port)
  configure "$port"
  serve nginx -p "$PWD" -c "$PWD/nginx.conf" -g 'daemon off;'
  until_ready bash -c ": </dev/tcp/127.0.0.1/$port"
  load_it "$port"
  took "$(awk '{ sum += $1 } END { print sum }' rates)"
  stop_server QUIT
}
