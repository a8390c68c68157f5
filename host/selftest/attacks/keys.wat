;; H54, H55: each variable is an attempt on a key-value space, by the first letter of its name; fails if one succeeds.
;; O: opens another space. G: reads a key of its own space that another agent has. P: writes one, which its own space may refuse, too. F: writes keys of 1 KiB until refused.
(component
  ;; include: libc
  ;; include: environment
  ;; include: keys
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "libc" "next" (global $next (mut i32)))
    (import "host" "variables" (func $variables (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "get" (func $get (param i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (global $own (mut i32) (i32.const 0))
    ;; Whether the last answer, at 2048, was no error.
    (func $passed (result i32) (i32.eqz (i32.load8_u (i32.const 2048))))
    (func $attempt (param $kind i32) (param $text i32) (param $length i32) (result i32)
      (local $count i32)
      (local $reset i32)
      (if (i32.eq (local.get $kind) (i32.const 0x4f)) (then
        (call $open (local.get $text) (local.get $length) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x47)) (then
        (call $get (global.get $own) (local.get $text) (local.get $length) (i32.const 2048))
        (return (i32.and (call $passed) (i32.load8_u (i32.const 2052))))))
      (if (i32.eq (local.get $kind) (i32.const 0x50)) (then
        (call $set (global.get $own) (local.get $text) (local.get $length) (i32.const 1024) (i32.const 8) (i32.const 2048))
        (return (i32.const 0))))
      (if (i32.eq (local.get $kind) (i32.const 0x46)) (then
        (local.set $reset (global.get $next))
        (loop $again
          (global.set $next (local.get $reset))
          ;; A key of eight letters that differ.
          (i32.store (i32.const 1024) (i32.add (i32.const 0x61616161) (i32.and (local.get $count) (i32.const 0x0f0f0f0f))))
          (i32.store (i32.const 1028) (i32.add (i32.const 0x61616161) (i32.and (i32.shr_u (local.get $count) (i32.const 4)) (i32.const 0x0f0f0f0f))))
          (call $set (global.get $own) (i32.const 1024) (i32.const 8) (i32.const 4096) (i32.const 1024) (i32.const 2048))
          (if (i32.eqz (call $passed)) (then (return (i32.const 0))))
          (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 5000))))
        (return (i32.const 1))))
      unreachable)
    (func (export "run") (result i32)
      (local $at i32)
      (local $end i32)
      (call $open (i32.const 0) (i32.const 0) (i32.const 2048))
      (if (i32.eqz (call $passed)) (then unreachable))
      (global.set $own (i32.load (i32.const 2052)))
      (call $variables (i32.const 2048))
      (local.set $at (i32.load (i32.const 2048)))
      (local.set $end (i32.add (local.get $at) (i32.mul (i32.const 16) (i32.load (i32.const 2052)))))
      (loop $again
        (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
        (if (call $attempt (i32.load8_u (i32.load (local.get $at))) (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
          (then (return (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $again))
      unreachable))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "variables" (func $variables)) (export "open" (func $open)) (export "get" (func $get)) (export "set" (func $set))))))
  ;; include: command
)
