;; H12: traps at once.
(component
  (core module $guest (func (export "run") (result i32) unreachable))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
