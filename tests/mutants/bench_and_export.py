"""Wrong versions of what a training would cost, and of encoders that leave this program."""

from tests.mutants.mutant import Mutant, in_file

TIMING, COST = "sslcli/bench/timing.py", "sslcli/bench/cost.py"
ADDS_UP = "test_bench.py::test_the_expected_time_of_pretraining_adds_up_over_sizes_epochs_and_checkpoints"

MUTANTS = (
    Mutant(
        "timing a step trains the encoder", TIMING,
        "lr_at=lambda _: 0.0,", "lr_at=training.lr_at,", "test_bench.py::test_a_timed_step_changes_no_weight",
    ),
    *in_file(
        COST,
        ("measuring is counted for every epoch",
         "measured = sum(is_measured(epoch, options, of=len(epochs)) for epoch in epochs)", "measured = len(epochs)"),
        ("every size of the views lasts the whole training",
         "parts.append(step.times((end - begin) / steps))", "parts.append(step.times(1.0))"),
        ("an epoch's last step counts as a full one",
         "share, optimizer = images / (full * training.epoch_steps), step.split", "share, optimizer = 1.0, step.split",
         "test_bench.py::test_the_last_step_of_an_epoch_counts_for_the_images_it_has"),
        tests=ADDS_UP,
    ),
    Mutant(
        "images a second are steps a second", "sslcli/bench/columns.py",
        '"images_per_second": cost.batch_size / seconds', '"images_per_second": 1 / seconds',
        "test_bench.py::test_json_holds_what_the_table_says",
    ),
    Mutant(
        "an export that is not the encoder is written", "sslcli/export/export.py",
        "if wrong or not usual <= CLOSE * largest:", "if wrong and not usual <= largest:",
        "test_export.py::test_an_export_that_is_not_the_encoder_is_an_error_and_writes_nothing",
    ),
)  # fmt: skip
