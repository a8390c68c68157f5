  ;; A program: `run` of the core instance `$guest` answers 0 for passed and 1 for failed.
  (func $run (result (result)) (canon lift (core func $guest "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command))
