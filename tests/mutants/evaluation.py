"""Wrong versions of how an encoder is measured: what is trained on, chosen by, and reported."""

from tests.mutants.mutant import Mutant, in_file

CHOICES = "test_choices.py::"
CHOSEN = CHOICES + "test_what_is_reported_and_kept_is_of_the_epoch_that_validation_chose"
JUDGED = CHOICES + "test_what_epochs_and_rates_are_chosen_by_is_measured_on_the_validation_images"
VOTES = "test_protocols.py::test_knn_votes_equal_scikit_learns_with_and_without_temperature"
LITERAL = "test_quality.py::test_every_number_is_what_the_slow_literal_computation_gives"
HEALTH = "test_health.py::test_every_measure_equals_its_definition"
FINETUNE, END_TO_END = "sslcli/evaluation/protocols/finetune.py", "sslcli/evaluation/end_to_end.py"
CLASSIFY = "sslcli/workflows/finishing.py"
PROTOCOL = "sslcli/evaluation/protocols/"
H = "sslcli/workflows/representations.py"
LINEAR, KNN = "sslcli/evaluation/linear.py", "sslcli/evaluation/knn.py"
QUALITY, MEASURES = "sslcli/evaluation/quality.py", "sslcli/evaluation/health.py"
FREE = "sslcli/evaluation/label_free.py"

MUTANTS = (
    *in_file(
        H,
        ("representations are standardised by training and test images together",
         "mean, std = standardisation(train_h)",
         "mean, std = standardisation(train_h.new_tensor([*train_h.tolist(), *test_h.tolist()]))",
         CHOICES + "test_h_is_standardised_by_the_images_that_train_alone"),
        ("the probe trains on the validation images, too",
         "train_rows, val_rows = start.parts.train.to(context.device), start.parts.val.to(context.device)",
         "train_rows = start.parts.train.new_tensor([*start.parts.train.tolist(), *start.parts.val.tolist()])\n"
         "    val_rows = start.parts.val", CHOICES + "test_each_representation_is_of_its_image_and_stands_beside_its_label"),
    ),
    Mutant(
        "the bank of kNN holds the test images", PROTOCOL + "knn.py",
        "bank, labels = torch.cat([h.train, h.val]), torch.cat([h.train_labels, h.val_labels])",
        "bank, labels = torch.cat([h.train, h.val, h.test]), torch.cat([h.train_labels, h.val_labels, h.test_labels])",
        CHOICES + "test_in_knn_training_and_validation_images_answer_and_test_images_never",
    ),
    Mutant(
        "the worst rate is taken", "sslcli/workflows/rates.py",
        "max(sorted(tried), key=lambda rate: tried[rate])", "min(sorted(tried), key=lambda rate: tried[rate])",
        CHOICES + "test_the_rate_is_searched_on_validation_images_and_the_best_one_trained_with",
    ),
    *in_file(
        PROTOCOL + "linear.py",
        ("the rate is searched on the test images",
         "train_h, h.train_labels, val_h, h.val_labels", "train_h, h.train_labels, h.standardised(h.test), h.test_labels",
         CHOICES + "test_the_rate_is_searched_on_validation_images_and_the_best_one_trained_with"),
        ("the epoch of linear evaluation is chosen on the test images",
         'return score(head(val_h), h.val_labels, prefix="val")', 'return score(head(test_h), h.test_labels, prefix="val")',
         JUDGED + "[linear]"),
        ("linear evaluation reports the last epoch instead of the chosen one",
         '    head.load_state_dict(progress.best["weights"])\n', "    assert progress.best\n", CHOSEN + "[linear]"),
    ),
    *in_file(
        PROTOCOL + "linear_augmented.py",
        ("rate and epoch on augmented images are chosen on the test images",
         'score(logits, h.val_labels, prefix="val") for logits in heads(val_h)',
         'score(logits, h.test_labels, prefix="val") for logits in heads(test_h)', JUDGED + "[linear-augmented]"),
        ("linear evaluation on augmented images reports the last epoch",
         '    heads.load_state_dict(progress.best["weights"])\n', "    assert progress.best\n", CHOSEN + "[linear-augmented]"),
    ),
    *in_file(
        LINEAR,
        ("linear evaluation on augmented images trains on h that is not standardised",
         "return heads.loss(h.standardised(seen), batch[1]), {}", "return heads.loss(seen, batch[1]), {}",
         CHOICES + "test_augmented_linear_evaluation_standardises_as_the_plain_one_does"),
        ("the probe starts from random weights",
         "nn.init.zeros_(head.weight)", "nn.init.normal_(head.weight)", "test_evaluation.py::test_the_probe_starts_from_zero"),
        ("a feature that never varies is divided by 0",
         "torch.where(deviation > 1e-6 * mean.abs().clamp(min=1e-12), deviation, 1.0)", "deviation.clone()",
         "test_evaluation.py::test_features_that_never_vary_stay_finite"),
        ("a rate is judged by its last epoch",
         "best = torch.maximum(best, (guesses == val_labels).float().mean(1).cpu())",
         "best = (guesses == val_labels).float().mean(1).cpu()",
         "test_evaluation.py::test_a_rate_is_judged_by_its_best_epoch_on_the_validation_images"),
        ("the rates that are searched are a sixth of what they are called",
         "(losses * rates).sum().backward()", "(losses * rates).mean().backward()",
         "test_evaluation.py::test_training_all_rates_at_once_equals_training_one"),
        ("on augmented images every rate is the same",
         "return (losses * torch.tensor(RATES, device=h.device)).sum()",
         "return (losses * torch.ones(len(RATES), device=h.device)).sum()",
         "test_protocols.py::test_all_rates_on_augmented_images_train_as_each_would_alone"),
    ),
    Mutant(
        "a probe's artifact lacks the standardisation", PROTOCOL + "protocol.py",
        "made.fold_standardisation(self.h.mean, self.h.std)", "assert self.h.mean is not self.h.std",
        CHOSEN + "[linear] "
        "test_evaluation.py::test_an_artifact_alone_gives_the_accuracy_that_was_reported",
    ),
    *in_file(
        END_TO_END,
        ("fine-tuning trains on the validation images, too",
         "train_rows = start.parts.train", "train_rows = torch.cat([start.parts.train, start.parts.val])"),
        ("fine-tuning trains the classifier and leaves the encoder as it is",
         "optimizer_for(model, options,", "optimizer_for(model.head, options,"),
        tests=CHOICES + "test_fine_tuning_trains_every_weight_on_the_training_images_alone",
    ),
    *in_file(
        FINETUNE,
        ("the epoch of fine-tuning is chosen on the test images",
         'score(see(model, chosen(data.train_images, val_rows)), data.train_labels[val_rows], prefix="val")',
         'score(see(model, data.test_images), data.test_labels, prefix="val")', JUDGED + "[finetune]"),
        ("fine-tuning reports the last epoch instead of the chosen one",
         '    model.load_state_dict(progress.best["weights"])\n', "    assert progress.best\n", CHOSEN + "[finetune]"),
    ),
    *in_file(
        "sslcli/plans/inheriting.py",
        ("a pretrained fine-tuning starts from the scratch encoder",
         "    if run.parent:\n        return load_pretrained(",
         '    if run.parent and run.experiment != "finetune":\n        return load_pretrained(',
         CHOICES + "test_fine_tuning_begins_with_its_parents_encoder_and_scratch_with_a_random_one"),
        ("a pretrained probe starts from the scratch encoder",
         "    if run.parent:\n        return load_pretrained(",
         '    if run.parent and run.experiment == "finetune":\n        return load_pretrained(',
         "test_evaluation.py::test_a_frozen_encoder_is_its_parents_to_the_bit"),
        ("a probe of an earlier epoch is of the last one",
         "at_epoch=run.at_epoch)", "at_epoch=None)", "test_commands.py::test_kept_checkpoints_are_probed_and_counted_apart"),
    ),
    *in_file(
        CLASSIFY,
        ("validation accuracy is that of the last epoch",
         '"val_acc": progress.best["metrics"]["val/acc"]', '"val_acc": progress.history[-1]["val/acc"]', CHOSEN + "[linear]"),
        ("test accuracy is the best over epochs",
         '        found["best_test_acc"] = max(epoch["test/acc"] for epoch in history)\n',
         '        found["test_acc"] = found["best_test_acc"] = max(epoch["test/acc"] for epoch in history)\n'),
        ("the best over epochs is the last", 'max(epoch["test/acc"] for epoch in history)', 'history[-1]["test/acc"]'),
        tests=CHOICES + "test_test_acc_is_of_the_kept_logits_and_best_test_acc_the_best_over_epochs",
    ),
    *in_file(
        "sslcli/evaluation/features.py",
        ("an encoder is measured in training mode",
         "net.eval()", "net.train()",
         "test_evaluation.py::test_the_encoder_is_measured_in_evaluation_mode_and_moves_no_statistic"),
        ("the representations of batches are put together from the last to the first",
         "return torch.cat(made)", "return torch.cat(made[::-1])",
         CHOICES + "test_outputs_keep_the_order_of_the_images_over_batches"),
    ),
    Mutant(
        "kNN compares by length, too", "sslcli/evaluation/neighbours.py",
        "bank = F.normalize(bank)", "bank = bank.clone()", VOTES,
    ),
    *in_file(
        KNN,
        ("kNN asks one neighbour too few", "k=min(k, len(bank)))", "k=min(k, len(bank)) - 1)"),
        ("kNN's temperature is upside down", "cosines / temperature", "cosines * temperature"),
        tests=VOTES,
    ),
    *in_file(
        "sslcli/evaluation/logistic.py",
        ("the strength of logistic regression is chosen on the training images",
         "model.score(val_features.numpy(), val_labels.numpy())", "model.score(features.numpy(), labels.numpy())",
         CHOICES + "test_logistic_regression_takes_the_strength_that_does_best_on_the_validation_images"),
        ("of two classes logistic regression names the other",
         "torch.cat([-weight, weight]) / 2", "torch.cat([weight, -weight]) / 2",
         "test_protocols.py::test_logistic_regression_chooses_its_strength_on_validation_images"),
    ),
    Mutant(
        "the loss of an evaluation is a sum", "sslcli/evaluation/metrics.py",
        "F.cross_entropy(logits, labels).item()", 'F.cross_entropy(logits, labels, reduction="sum").item()',
        CHOICES + "test_accuracy_counts_what_is_right_and_the_loss_is_the_mean_cross_entropy",
    ),
    *in_file(
        QUALITY,
        ("too much and too little confidence cancel in the calibration error",
         "count * abs(accuracy - confidence)", "count * (accuracy - confidence)"),
        ("confusions are counted by predicted and true class, not by true and predicted",
         "confusion_matrix(answers.labels, answers.predicted,", "confusion_matrix(answers.predicted, answers.labels,"),
        ("risk over coverage answers the least confident first", "np.unique(-confidence,", "np.unique(confidence,"),
        tests=LITERAL,
    ),
    Mutant(
        "among equal logits the last class counts", "sslcli/evaluation/test_logits.py",
        "self.logits.argmax(1) == self.labels", "self.logits.shape[1] - 1 - self.logits[:, ::-1].argmax(1) == self.labels",
        "test_quality.py::test_equal_logits_say_the_first_class_as_the_kept_logits_do",
    ),
    *in_file(
        MEASURES,
        ("the rank of h counts its mean", "svdvals(h - h.mean(0))", "svdvals(h)"),
        ("alignment is over dimensions, not over images",
         "(first - second).square().sum(1).mean()", "(first - second).square().mean()"),
        ("projections along one direction are no collapse",
         'measured.get("rankme", LEAST_RANKME) < LEAST_RANKME', 'measured.get("rankme", LEAST_RANKME) < 0',
         "test_health.py::test_projections_along_one_direction_are_called_collapsed"),
        tests=HEALTH,
    ),
    *in_file(
        "sslcli/plans/online_metrics.py",
        ("kNN during pretraining finds each image in its own bank",
         "bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]]",
         "bank = torch.cat([parts.train, parts.val])",
         "test_evaluation.py::test_the_knn_bank_leaves_the_validation_images_out"),
        ("RankMe is of h, as the rank of health is",
         "label_free(z[0] if z else h_seen, h_seen, h_views)", "label_free(h_seen, h_seen, h_views)"),
        ("LiDAR's views of an image are all the same",
         '_view(options, data, "lidar", number)', '_view(options, data, "lidar", 0)'),
        tests="test_label_free.py::test_lidar_is_measured_on_views_that_differ_of_so_many_images",
    ),
    *in_file(
        FREE,
        ("RankMe takes the mean away",
         "_gram_eigenvalues(z.cpu().double())", "_gram_eigenvalues((z - z.mean(0)).cpu().double())",
         "test_label_free.py::test_rankme_is_the_formula_on_the_singular_values_of_z_as_it_is"),
        ("LiDAR leaves out how views differ",
         "covariance = within.mT @ within / len(within)", "covariance = torch.eye(h.shape[2], dtype=h.dtype)",
         "test_label_free.py::test_lidar_counts_the_directions_that_tell_images_apart_and_not_those_in_which_views_differ"),
        ("alpha-ReQ weighs all ranks alike", "weight = 1 / rank", "weight = torch.ones_like(rank)"),
        ("alpha-ReQ is fitted from the first eigenvalue on", "FIRST, LAST = 4, 100", "FIRST, LAST = 1, 100"),
        ("LiDAR counts the mean of all images",
         "between = (means - means.mean(0))", "between = means",
         "test_label_free.py::test_lidar_is_the_formula_on_covariances_that_are_added_up_here"),
        tests="test_label_free.py::test_alpha_is_the_weighted_line_through_the_logarithms_of_ranks_4_to_100",
    ),
    Mutant(
        "the warning of collapse goes by running means", "sslcli/workflows/pretraining.py",
        'if "train/z_std" in measured else {}', "if False else {}",
        "test_collapse.py::test_no_short_run_of_any_method_is_called_collapsed",
    ),
    Mutant(
        "watched images that ask answer, too", "sslcli/plans/watching.py",
        "bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]]",
        "bank = torch.cat([parts.train, parts.val])",
        "test_watch.py::test_of_the_watched_set_the_test_part_and_the_labels_of_those_that_ask_train_nothing",
    ),
    Mutant(
        "watching makes a run another one", "sslcli/options/pairing.py",
        '"fit", "watch")', '"fit")', "test_watch.py::test_no_weight_knows_of_the_watched_labels_and_the_figures_are_recorded",
    ),
)  # fmt: skip
