;; H27, H28: looks into 48 MiB of fresh memory for a byte that is not zero; fails if there is one.
(component
  (core module $guest
    (memory 256)
    (func (export "run") (result i32)
      (local $at i32)
      (if (i32.eq (memory.grow (i32.const 512)) (i32.const -1)) (then unreachable))
      (loop $again
        (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (i32.const 1))))
        (br_if $again (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 8)))
          (i32.const 50331648))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
