;; H04: calls itself until the stack ends.
(component
  (core module $guest
    (func $descend (param $depth i32) (result i32)
      (i32.add (i32.const 1) (call $descend (i32.add (local.get $depth) (i32.const 1)))))
    (func (export "run") (result i32) (call $descend (i32.const 0))))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
