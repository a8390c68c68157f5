;; H46: opens a TCP socket and looks a name up; fails if either is given.
(component
  ;; include: libc
  (import "wasi:sockets/network@0.2.0" (instance $types
    (export "network" (type $network (sub resource)))
    (type $t-error-code (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
      "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type $error-code (eq $t-error-code)))
    (type $t-family (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $family (eq $t-family)))))
  (alias export $types "network" (type $network))
  (alias export $types "error-code" (type $error-code))
  (alias export $types "ip-address-family" (type $family))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (export "resolve-address-stream" (type $addresses (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $network)) (param "name" string)
      (result (result (own $addresses) (error $error-code)))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $tcp-socket) (error $error-code)))))))
  (core func $network (canon lower (func $instance "instance-network")))
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory (core memory $memory))))
  (core func $socket (canon lower (func $create "create-tcp-socket") (memory (core memory $memory))))
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "network" (func $network (result i32)))
    (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (import "host" "socket" (func $socket (param i32 i32)))
    (data (i32.const 1024) "secret.evil.test")
    (func (export "run") (result i32)
      (call $socket (i32.const 0) (i32.const 2048))
      (if (i32.eqz (i32.load8_u (i32.const 2048))) (then (return (i32.const 1))))
      (call $resolve (call $network) (i32.const 1024) (i32.const 16) (i32.const 2048))
      (i32.eqz (i32.load8_u (i32.const 2048)))))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "network" (func $network)) (export "resolve" (func $resolve)) (export "socket" (func $socket))))))
  ;; include: command
)
