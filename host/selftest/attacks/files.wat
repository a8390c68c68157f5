;; H47 to H52: each variable is an attempt on the first directory, by the first letter of its name; fails if one succeeds that should not.
;; G: opens for reading, which must pass. R: opens for reading. W: creates. T: truncates. C: makes a directory. U: removes. N: renames a file away.
;; L: links it beside itself. S: plants a link to it. Q: creates a file and writes until refused. Z: makes it 2^60 bytes long. F: creates files until refused.
(component
  ;; include: libc
  ;; include: environment
  ;; include: files
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "variables" (func $variables (param i32)))
    (import "host" "directories" (func $directories (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "create-directory" (func $create-directory (param i32 i32 i32 i32)))
    (import "host" "unlink" (func $unlink (param i32 i32 i32 i32)))
    (import "host" "symlink" (func $symlink (param i32 i32 i32 i32 i32 i32)))
    (import "host" "rename" (func $rename (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "link" (func $link (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "set-size" (func $set-size (param i32 i64 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (data (i32.const 1024) "planted")
    (global $base (mut i32) (i32.const 0))
    ;; Whether the last answer, at 2048, was no error.
    (func $passed (result i32) (i32.eqz (i32.load8_u (i32.const 2048))))
    (func $attempt (param $kind i32) (param $text i32) (param $length i32) (result i32)
      (local $count i32)
      (if (i32.eq (local.get $kind) (i32.const 0x47)) (then
        (call $open (global.get $base) (i32.const 1) (local.get $text) (local.get $length) (i32.const 0) (i32.const 1) (i32.const 2048))
        (return (i32.eqz (call $passed)))))
      (if (i32.eq (local.get $kind) (i32.const 0x52)) (then
        (call $open (global.get $base) (i32.const 1) (local.get $text) (local.get $length) (i32.const 0) (i32.const 1) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x57)) (then
        (call $open (global.get $base) (i32.const 1) (local.get $text) (local.get $length) (i32.const 1) (i32.const 2) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x54)) (then
        (call $open (global.get $base) (i32.const 1) (local.get $text) (local.get $length) (i32.const 8) (i32.const 2) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x43)) (then
        (call $create-directory (global.get $base) (local.get $text) (local.get $length) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x55)) (then
        (call $unlink (global.get $base) (local.get $text) (local.get $length) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x4e)) (then
        (call $rename (global.get $base) (local.get $text) (local.get $length) (global.get $base) (i32.const 1024) (i32.const 7) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x4c)) (then
        (call $link (global.get $base) (i32.const 0) (local.get $text) (local.get $length) (global.get $base) (i32.const 1024) (i32.const 7) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x53)) (then
        (call $symlink (global.get $base) (local.get $text) (local.get $length) (i32.const 1024) (i32.const 7) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x46)) (then
        (loop $again
          ;; The first two letters of the path are counted.
          (i32.store8 (local.get $text) (i32.add (i32.const 0x61) (i32.rem_u (local.get $count) (i32.const 26))))
          (i32.store8 offset=1 (local.get $text) (i32.add (i32.const 0x61) (i32.div_u (local.get $count) (i32.const 26))))
          (call $open (global.get $base) (i32.const 0) (local.get $text) (local.get $length) (i32.const 1) (i32.const 2) (i32.const 2048))
          (if (i32.eqz (call $passed)) (then (return (i32.const 0))))
          (call $drop (i32.load (i32.const 2052)))
          (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 676))))
        (return (i32.const 1))))
      ;; Q and Z need a file of their own.
      (call $open (global.get $base) (i32.const 0) (local.get $text) (local.get $length) (i32.const 1) (i32.const 2) (i32.const 2048))
      (if (i32.eqz (call $passed)) (then unreachable))
      (local.set $length (i32.load (i32.const 2052)))
      (if (i32.eq (local.get $kind) (i32.const 0x5a)) (then
        (call $set-size (local.get $length) (i64.const 1152921504606846976) (i32.const 2048))
        (return (call $passed))))
      (if (i32.eq (local.get $kind) (i32.const 0x51)) (then
        (loop $again
          (call $write (local.get $length) (i32.const 0) (i32.const 16384)
            (i64.mul (i64.extend_i32_u (local.get $count)) (i64.const 16384)) (i32.const 2048))
          (if (i32.eqz (call $passed)) (then (return (i32.const 0))))
          (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 655360))))
        (return (i32.const 1))))
      unreachable)
    (func (export "run") (result i32)
      (local $at i32)
      (local $end i32)
      (call $directories (i32.const 2048))
      (if (i32.eqz (i32.load (i32.const 2052))) (then unreachable))
      (global.set $base (i32.load (i32.load (i32.const 2048))))
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
    (export "variables" (func $variables)) (export "directories" (func $directories)) (export "open" (func $open))
    (export "create-directory" (func $create-directory)) (export "unlink" (func $unlink)) (export "symlink" (func $symlink))
    (export "rename" (func $rename)) (export "link" (func $link)) (export "set-size" (func $set-size))
    (export "write" (func $write)) (export "drop" (func $drop-descriptor))))))
  ;; include: command
)
