;; H36 to H46: each variable is `AUTHORITY/PATH` to send a request to, by the first letter of its name; fails if what comes back is not as it should be.
;; R: refused, no answer comes. B: an answer comes, or not, and its body breaks off. M: the answer is a redirect and nothing else. G: the answer is whole.
;; U: a body is sent until it is refused. With S as the second letter the scheme is `https`.
(component
  ;; include: libc
  ;; include: environment
  ;; include: clock
  ;; include: streams
  ;; include: http
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "libc" "next" (global $next (mut i32)))
    (import "host" "variables" (func $variables (param i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "request" (func $request (param i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "set-method" (func $set-method (param i32 i32 i32 i32) (result i32)))
    (import "host" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
    (import "host" "set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "host" "set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
    (import "host" "body-stream" (func $body-stream (param i32 i32)))
    (import "host" "status" (func $status (param i32) (result i32)))
    (import "host" "consume" (func $consume (param i32 i32)))
    (import "host" "stream" (func $stream (param i32 i32)))
    (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "get" (func $get (param i32 i32)))
    (import "host" "handle" (func $handle (param i32 i32 i32 i32)))
    ;; Sends the request; answers the response's handle, or -1.
    (func $send (param $kind i32) (param $secure i32) (param $text i32) (param $length i32) (result i32)
      (local $request i32)
      (local $slash i32)
      (local $upload i32)
      (local $future i32)
      (local $count i32)
      (loop $again
        (if (i32.ne (i32.load8_u (i32.add (local.get $text) (local.get $slash))) (i32.const 0x2f)) (then
          (local.set $slash (i32.add (local.get $slash) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $slash) (local.get $length))))))
      (local.set $request (call $request (call $fields)))
      (if (call $set-scheme (local.get $request) (i32.const 1) (local.get $secure) (i32.const 0) (i32.const 0)) (then (return (i32.const -1))))
      (if (call $set-authority (local.get $request) (i32.const 1) (local.get $text) (local.get $slash)) (then (return (i32.const -1))))
      (if (call $set-path (local.get $request) (i32.const 1) (i32.add (local.get $text) (local.get $slash))
        (i32.sub (local.get $length) (local.get $slash))) (then (return (i32.const -1))))
      (if (i32.eq (local.get $kind) (i32.const 0x55)) (then
        (drop (call $set-method (local.get $request) (i32.const 2) (i32.const 0) (i32.const 0)))
        (call $body (local.get $request) (i32.const 2048))
        (if (i32.load8_u (i32.const 2048)) (then unreachable))
        (call $body-stream (i32.load (i32.const 2052)) (i32.const 2048))
        (if (i32.load8_u (i32.const 2048)) (then unreachable))
        (local.set $upload (i32.load (i32.const 2052)))))
      (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then (return (i32.const -1))))
      (local.set $future (i32.load (i32.const 2056)))
      (if (local.get $upload) (then
        (loop $again
          (call $write (local.get $upload) (i32.const 4096) (i32.const 4096) (i32.const 2048))
          (if (i32.load8_u (i32.const 2048)) (then (return (i32.const -1))))
          (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 4096))))
        (return (i32.const 0))))
      (call $block (call $subscribe (local.get $future)))
      (call $get (local.get $future) (i32.const 2048))
      ;; Nothing, taken already, or an error.
      (if (i32.eqz (i32.load8_u (i32.const 2048))) (then (return (i32.const -1))))
      (if (i32.load8_u (i32.const 2056)) (then (return (i32.const -1))))
      (if (i32.load8_u (i32.const 2064)) (then (return (i32.const -1))))
      (i32.load (i32.const 2072)))
    ;; Reads the body; answers whether it came to its end.
    (func $whole (param $response i32) (result i32)
      (local $reset i32)
      (local $stream i32)
      (call $consume (local.get $response) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then (return (i32.const 0))))
      (call $stream (i32.load (i32.const 2052)) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then (return (i32.const 0))))
      (local.set $stream (i32.load (i32.const 2052)))
      (local.set $reset (global.get $next))
      (loop $again
        (global.set $next (local.get $reset))
        (call $read (local.get $stream) (i64.const 65536) (i32.const 2048))
        (br_if $again (i32.eqz (i32.load8_u (i32.const 2048)))))
      ;; Closed is the end, anything else broke off.
      (i32.load8_u (i32.const 2052)))
    (func $attempt (param $kind i32) (param $secure i32) (param $text i32) (param $length i32) (result i32)
      (local $response i32)
      (local $status i32)
      (local.set $response (call $send (local.get $kind) (local.get $secure) (local.get $text) (local.get $length)))
      (if (i32.or (i32.eq (local.get $kind) (i32.const 0x52)) (i32.eq (local.get $kind) (i32.const 0x55)))
        (then (return (i32.ne (local.get $response) (i32.const -1)))))
      (if (i32.eq (local.get $response) (i32.const -1)) (then (return (i32.ne (local.get $kind) (i32.const 0x42)))))
      (local.set $status (i32.div_u (call $status (local.get $response)) (i32.const 100)))
      (if (i32.eq (local.get $kind) (i32.const 0x4d)) (then (return (i32.ne (local.get $status) (i32.const 3)))))
      (if (i32.eq (local.get $kind) (i32.const 0x47)) (then
        (if (i32.ne (local.get $status) (i32.const 2)) (then (return (i32.const 1))))
        (return (i32.eqz (call $whole (local.get $response))))))
      (call $whole (local.get $response)))
    (func (export "run") (result i32)
      (local $at i32)
      (local $end i32)
      (local $name i32)
      (call $variables (i32.const 2048))
      (local.set $at (i32.load (i32.const 2048)))
      (local.set $end (i32.add (local.get $at) (i32.mul (i32.const 16) (i32.load (i32.const 2052)))))
      (loop $again
        (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
        (local.set $name (i32.load (local.get $at)))
        (if (call $attempt (i32.load8_u (local.get $name)) (i32.eq (i32.load8_u offset=1 (local.get $name)) (i32.const 0x53))
          (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
          (then (return (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $again))
      unreachable))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "variables" (func $variables)) (export "block" (func $block)) (export "read" (func $read)) (export "write" (func $write))
    (export "fields" (func $new-fields)) (export "request" (func $new-request)) (export "body" (func $request-body))
    (export "set-method" (func $set-method)) (export "set-path" (func $set-path)) (export "set-scheme" (func $set-scheme))
    (export "set-authority" (func $set-authority)) (export "body-stream" (func $body-stream)) (export "status" (func $status))
    (export "consume" (func $consume)) (export "stream" (func $stream)) (export "subscribe" (func $subscribe-future))
    (export "get" (func $get)) (export "handle" (func $handle))))))
  ;; include: command
)
