;; H02: counts for ever; what that costs is counted as well.
(component
  (core module $guest
    (func (export "run") (result i32)
      (local $count i64)
      (loop $again
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (br_if $again (i64.ne (local.get $count) (i64.const 0))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
