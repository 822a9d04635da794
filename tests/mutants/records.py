"""Wrong versions of what is written down and believed later: checkpoints, the registry, verification, the data check."""

from tests.mutants.mutant import Mutant

CHECKPOINT, REGISTRY = "sslcli/training/checkpoint.py", "sslcli/runs/registry.py"
PROOFS, VERIFY, NUMBERS = "sslcli/runs/proofs.py", "sslcli/verification/records.py", "sslcli/verification/numbers.py"
PROVEN = "test_proofs.py::"
CHECKPOINTS, RUNS = "test_checkpoint.py::", "test_registry.py::"

MUTANTS = (
    Mutant(
        "a checkpoint's hash is not looked at", CHECKPOINT,
        "if found not in run.checkpoints.get(file, []):", "if not run.checkpoints.get(file, []):",
        CHECKPOINTS + "test_a_flipped_bit_anywhere_is_refused_by_name",
    ),
    Mutant(
        "a checkpoint may run code", CHECKPOINT, "weights_only=True", "weights_only=False",
        CHECKPOINTS + "test_code_in_a_checkpoint_is_never_run",
    ),
    Mutant(
        "weights that are no numbers take the place of a good checkpoint", CHECKPOINT,
        "if not torch.isfinite(weights).all()]:", "if weights.numel() == 0]:",
        CHECKPOINTS + "test_weights_that_are_no_numbers_are_refused_and_the_checkpoint_before_stays",
    ),
    Mutant(
        "the checkpoint before is lost", CHECKPOINT,
        'os.replace(path, path.with_name("previous.pt"))', "os.remove(path)",
        CHECKPOINTS + "test_the_checkpoint_before_is_kept_and_loads",
    ),
    Mutant(
        "the record forgets the old hash before the new file is there", CHECKPOINT,
        "[sha256, *(old for old in older if old != sha256)]", "[sha256]",
        CHECKPOINTS + "test_a_crash_between_hash_and_file_leaves_a_checkpoint_that_loads",
    ),
    Mutant(
        "a new file is in its place before it is recorded", "sslcli/files.py",
        "        before_rename()\n        os.replace(temporary, path)\n",
        "        os.replace(temporary, path)\n        before_rename()\n",
        RUNS + "test_what_is_recorded_before_a_rename_is_recorded_while_the_old_file_is_there",
    ),
    Mutant(
        "latest is the oldest run", REGISTRY, "return runs[-1]", "return runs[0]",
        RUNS + "test_runs_are_found_by_id_name_prefix_and_latest",
    ),
    Mutant(
        "an unfinished run is found where a finished one is asked for", REGISTRY,
        "and status in (None, r.status)]", "and (status is None or r.status)]",
        RUNS + "test_only_runs_of_the_kind_and_status_that_are_asked_for_are_found",
    ),
    Mutant(
        "a name comes before an equal id", "sslcli/runs/run.py",
        "return [run for run in runs if run.id == name] or [run for run in runs if run.name == name]",
        "return [run for run in runs if run.name == name] or [run for run in runs if run.id == name]",
        RUNS + "test_an_id_comes_before_a_name_that_is_equal_to_it",
    ),
    Mutant(
        "an accuracy of 58.87 is read as a fraction",
        "sslcli/runs/run.py", "and not 0 <= value <= 1:", "and not 0 <= value <= 100:",
        RUNS + "test_figures_that_cannot_be_are_refused",
    ),
    Mutant(
        "more images than there are may be right in both", "sslcli/runs/run.py",
        "isinstance(count, int) and 0 <= count <= images", "isinstance(count, int) and 0 <= count",
        RUNS + "test_figures_that_cannot_be_are_refused",
    ),
    Mutant(
        "the index is not told of what changes in a run", REGISTRY,
        "with suppress(UsageError):\n                self._index.put(run)", "self._index.check()",
        RUNS + "test_a_run_comes_back_as_it_was_saved",
    ),
    Mutant(
        "rebuilding the index loses the published runs", REGISTRY,
        'return [run for run in self.runs() if run.status == "published"]', "return []",
        RUNS + "test_rebuild_gives_the_lost_index_and_keeps_published_runs",
    ),
    Mutant(
        "a path may leave the project", REGISTRY,
        'if path != self._real_root and not path.startswith(os.path.join(self._real_root, "")):', "if not os.path.isabs(path):",
        RUNS + "test_a_path_that_leaves_the_project_is_refused",
    ),
    Mutant(
        "kept logits may have other numbers of labels", "sslcli/evaluation/test_logits.py",
        "if found.logits.ndim != 2 or found.labels.shape != (images,) or", "if found.logits.ndim != 2 or",
        "test_protocols.py::test_kept_logits_that_do_not_fit_are_refused",
    ),
    Mutant(
        "verify believes a number that is a tenth off", PROOFS,
        "math.isclose(first, second, rel_tol=within, abs_tol=within)",
        "math.isclose(first, second, rel_tol=0.1, abs_tol=within)",
        PROVEN + "test_values_are_the_same_within_rounding_and_of_one_type",
    ),
    Mutant(
        "verify takes true for 1", PROOFS, "return type(first) is type(second) and bool(first == second)",
        "return bool(first == second)", PROVEN + "test_values_are_the_same_within_rounding_and_of_one_type",
    ),
    Mutant(
        "verify does not see what was added to a record", PROOFS,
        '(name in self.values or name.partition(".")[0] in self.whole)', "name in self.values",
        PROVEN + "test_what_a_source_has_whole_may_have_no_more_and_no_less",
    ),
    Mutant(
        "verify believes the pair on record", VERIFY, 'values["pair"] = _key(record, fingerprint)',
        'values["pair"] = record.pair',
        PROVEN + "test_an_edited_field_contradicts_the_rest_of_the_record",
    ),
    Mutant(
        "verify believes the setup on record", VERIFY,
        'values["setup"] = _key(record, fingerprint, but=("seed",))', 'values["setup"] = record.setup',
        PROVEN + "test_an_edited_field_contradicts_the_rest_of_the_record",
    ),
    Mutant(
        "verify forgets the hash of the data", VERIFY, 'begun_with(str(record.data.get("sha256")), ', 'begun_with("f" * 64, ',
        PROVEN + "test_other_data_contradict_the_pair",
    ),
    Mutant(
        "verify does not hold the seed to the options", VERIFY, '"backbone", "seed", "label_fraction")',
        '"backbone", "label_fraction")',
        PROVEN + "test_an_edited_field_contradicts_the_rest_of_the_record",
    ),
    Mutant(
        "verify does not hash the checkpoints", VERIFY, "hashlib.sha256(path.read_bytes()).hexdigest()) not in hashes:",
        "hashlib.sha256(path.read_bytes()).hexdigest()) in ():",
        PROVEN + "test_a_checkpoint_of_other_bytes_is_damaged_and_one_on_no_record_foreign",
    ),
    Mutant(
        "who calls a run published is not looked at", VERIFY,
        'if run.status == "published" and not made_here(registry, run):', 'if run.status == "published":',
        PROVEN + "test_a_run_with_files_that_is_called_published_is_looked_at",
    ),
    Mutant(
        "verify does not compare index and record", VERIFY,
        "for key in index | own if index.get(key) != own.get(key)]:", "for key in own if own.get(key) is None]:",
        PROVEN + "test_what_the_index_says_otherwise_is_named",
    ),
    Mutant(
        "verify does not make the figures again", NUMBERS,
        'by_name({"metrics": made, "both_right": told}, attempts=0)', 'by_name({"both_right": told}, attempts=0)',
        PROVEN + "test_the_test_logits_prove_the_figures",
    ),
    Mutant(
        "verify does not count again what is right in both", NUMBERS,
        'by_name({"metrics": made, "both_right": told}, attempts=0)', 'by_name({"metrics": made}, attempts=0)',
        PROVEN + "test_the_test_logits_prove_the_best_over_epochs_and_what_is_right_in_both",
    ),
    Mutant(
        "verify does not look for epochs that were added", NUMBERS,
        '("history",) if whole else (), within=SAME)', "(), within=SAME)",
        PROVEN + "test_the_state_of_a_training_proves_its_history",
    ),
    Mutant(
        "verify does not hash the encoder", NUMBERS,
        'Evidence("weights", {"data.encoder_sha256": _encoder_hash(best)}),',
        'Evidence("weights", {"data.encoder_sha256": record.data["encoder_sha256"]}),',
        PROVEN + "test_the_weights_prove_which_encoder_was_measured",
    ),
    Mutant(
        "--without-duplicates leaves out the first copy, too", "sslcli/data/check_file.py",
        'return sorted({pair.j for pair in pairs if pair.where_b == "test"})',
        'first = {pair.i for pair in pairs if pair.where_a == "test"}\n'
        '    return sorted(first | {pair.j for pair in pairs if pair.where_b == "test"})',
        "test_data_check.py::test_of_copies_within_the_test_all_but_the_first_are_left_out_and_of_those_in_training_all",
    ),
    Mutant(
        "--without-duplicates counts the duplicates alone", "sslcli/comparison/without_duplicates.py",
        "= ~np.isin(kept.indices, found.test_duplicates)", "= np.isin(kept.indices, found.test_duplicates)",
        "test_data_check.py::test_without_duplicates_every_figure_is_of_the_images_that_are_left",
    ),
    Mutant(
        "without duplicates, right by both is what the first has right", "sslcli/comparison/without_duplicates.py",
        "int((right & kept[other.id].right).sum())", "int(right.sum())",
        "test_data_check.py::test_without_duplicates_every_figure_is_of_the_images_that_are_left",
    ),
    Mutant(
        "a data check of other data is used", "sslcli/comparison/without_duplicates.py",
        'if found.fingerprint != record.data.get("sha256"):', 'if not record.data.get("sha256"):',
        "test_data_check.py::test_without_a_check_or_with_one_of_other_data_the_command_is_named",
    ),
    Mutant(
        "the hash of weights leaves batch norm's statistics out", "sslcli/models/encoder.py",
        "return tensors_hash(module.state_dict())", "return tensors_hash(dict(module.named_parameters()))",
        "test_encoder.py::test_the_hash_of_weights_is_of_every_parameter_and_statistic",
    ),
    Mutant(
        "the fingerprint of data leaves labels out", "sslcli/data/image_data.py",
        "for rows in (self.train_images, self.train_labels, self.test_images, self.test_labels):",
        "for rows in (self.train_images, self.test_images):",
        "test_data.py::test_the_fingerprint_is_of_images_and_labels_of_training_and_of_test",
    ),
)  # fmt: skip
