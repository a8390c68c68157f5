;; H23: writes 8 MiB of output, far beyond the limit.
(component
  ;; include: libc
  ;; include: streams
  (import "wasi:cli/stdout@0.2.0" (instance $cli (export "get-stdout" (func (result (own $output))))))
  (core func $get (canon lower (func $cli "get-stdout")))
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "run") (result i32)
      (local $stream i32)
      (local $left i32)
      (local.set $stream (call $get))
      (local.set $left (i32.const 2048))
      (memory.fill (i32.const 4096) (i32.const 0x78) (i32.const 4096))
      (loop $again
        (call $write (local.get $stream) (i32.const 4096) (i32.const 4096) (i32.const 1024))
        (if (i32.load8_u (i32.const 1024)) (then (return (i32.const 1))))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "get" (func $get)) (export "write" (func $write))))))
  ;; include: command
)
