"""Wrong versions of how an encoder is measured: what is trained on, chosen by, and reported."""

from tests.mutants.mutant import Mutant

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
    Mutant(
        "representations are standardised by training and test images together", H,
        "mean, std = standardisation(train_h)",
        "mean, std = standardisation(train_h.new_tensor([*train_h.tolist(), *test_h.tolist()]))",
        CHOICES + "test_h_is_standardised_by_the_images_that_train_alone",
    ),
    Mutant(
        "the probe trains on the validation images, too", H,
        "train_rows, val_rows = start.parts.train.to(context.device), start.parts.val.to(context.device)",
        "train_rows = start.parts.train.new_tensor([*start.parts.train.tolist(), *start.parts.val.tolist()])\n"
        "    val_rows = start.parts.val",
        CHOICES + "test_each_representation_is_of_its_image_and_stands_beside_its_label",
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
    Mutant(
        "the rate is searched on the test images", PROTOCOL + "linear.py",
        "train_h, h.train_labels, val_h, h.val_labels", "train_h, h.train_labels, h.standardised(h.test), h.test_labels",
        CHOICES + "test_the_rate_is_searched_on_validation_images_and_the_best_one_trained_with",
    ),
    Mutant(
        "the epoch of linear evaluation is chosen on the test images", PROTOCOL + "linear.py",
        'return score(head(val_h), h.val_labels, prefix="val")', 'return score(head(test_h), h.test_labels, prefix="val")',
        JUDGED + "[linear]",
    ),
    Mutant(
        "linear evaluation reports the last epoch instead of the chosen one", PROTOCOL + "linear.py",
        '    head.load_state_dict(progress.best["weights"])\n', "    assert progress.best\n", CHOSEN + "[linear]",
    ),
    Mutant(
        "rate and epoch on augmented images are chosen on the test images", PROTOCOL + "linear_augmented.py",
        'score(logits, h.val_labels, prefix="val") for logits in heads(val_h)',
        'score(logits, h.test_labels, prefix="val") for logits in heads(test_h)', JUDGED + "[linear-augmented]",
    ),
    Mutant(
        "linear evaluation on augmented images reports the last epoch", PROTOCOL + "linear_augmented.py",
        '    heads.load_state_dict(progress.best["weights"])\n', "    assert progress.best\n", CHOSEN + "[linear-augmented]",
    ),
    Mutant(
        "linear evaluation on augmented images trains on h that is not standardised", LINEAR,
        "return heads.loss(h.standardised(seen), batch[1]), {}", "return heads.loss(seen, batch[1]), {}",
        CHOICES + "test_augmented_linear_evaluation_standardises_as_the_plain_one_does",
    ),
    Mutant(
        "the probe starts from random weights", LINEAR, "nn.init.zeros_(head.weight)", "nn.init.normal_(head.weight)",
        "test_evaluation.py::test_the_probe_starts_from_zero",
    ),
    Mutant(
        "a probe's artifact lacks the standardisation", PROTOCOL + "protocol.py",
        "made.fold_standardisation(self.h.mean, self.h.std)", "assert self.h.mean is not self.h.std", CHOSEN + "[linear] "
        "test_evaluation.py::test_an_artifact_alone_gives_the_accuracy_that_was_reported",
    ),
    Mutant(
        "fine-tuning trains on the validation images, too", END_TO_END,
        "train_rows = start.parts.train", "train_rows = torch.cat([start.parts.train, start.parts.val])",
        CHOICES + "test_fine_tuning_trains_every_weight_on_the_training_images_alone",
    ),
    Mutant(
        "fine-tuning trains the classifier and leaves the encoder as it is", END_TO_END,
        "optimizer_for(model, options,", "optimizer_for(model.head, options,",
        CHOICES + "test_fine_tuning_trains_every_weight_on_the_training_images_alone",
    ),
    Mutant(
        "the epoch of fine-tuning is chosen on the test images", FINETUNE,
        'score(see(model, chosen(data.train_images, val_rows)), data.train_labels[val_rows], prefix="val")',
        'score(see(model, data.test_images), data.test_labels, prefix="val")',
        JUDGED + "[finetune]",
    ),
    Mutant(
        "fine-tuning reports the last epoch instead of the chosen one", FINETUNE,
        '    model.load_state_dict(progress.best["weights"])\n', "    assert progress.best\n", CHOSEN + "[finetune]",
    ),
    Mutant(
        "a pretrained fine-tuning starts from the scratch encoder", "sslcli/plans/inheriting.py",
        "    if run.parent:\n        return load_pretrained(",
        '    if run.parent and run.experiment != "finetune":\n        return load_pretrained(',
        CHOICES + "test_fine_tuning_begins_with_its_parents_encoder_and_scratch_with_a_random_one",
    ),
    Mutant(
        "a pretrained probe starts from the scratch encoder", "sslcli/plans/inheriting.py",
        "    if run.parent:\n        return load_pretrained(",
        '    if run.parent and run.experiment == "finetune":\n        return load_pretrained(',
        "test_evaluation.py::test_a_frozen_encoder_is_its_parents_to_the_bit",
    ),
    Mutant(
        "a probe of an earlier epoch is of the last one",
        "sslcli/plans/inheriting.py", "at_epoch=run.at_epoch)", "at_epoch=None)",
        "test_commands.py::test_kept_checkpoints_are_probed_and_counted_apart",
    ),
    Mutant(
        "validation accuracy is that of the last epoch", CLASSIFY,
        '"val_acc": progress.best["metrics"]["val/acc"]', '"val_acc": progress.history[-1]["val/acc"]', CHOSEN + "[linear]",
    ),
    Mutant(
        "test accuracy is the best over epochs", CLASSIFY,
        '        found["best_test_acc"] = max(epoch["test/acc"] for epoch in history)\n',
        '        found["test_acc"] = found["best_test_acc"] = max(epoch["test/acc"] for epoch in history)\n',
        CHOICES + "test_test_acc_is_of_the_kept_logits_and_best_test_acc_the_best_over_epochs",
    ),
    Mutant(
        "the best over epochs is the last", CLASSIFY,
        'max(epoch["test/acc"] for epoch in history)', 'history[-1]["test/acc"]',
        CHOICES + "test_test_acc_is_of_the_kept_logits_and_best_test_acc_the_best_over_epochs",
    ),
    Mutant(
        "an encoder is measured in training mode", "sslcli/evaluation/features.py", "net.eval()", "net.train()",
        "test_evaluation.py::test_the_encoder_is_measured_in_evaluation_mode_and_moves_no_statistic",
    ),
    Mutant(
        "the representations of batches are put together from the last to the first", "sslcli/evaluation/features.py",
        "return torch.cat(made)", "return torch.cat(made[::-1])",
        CHOICES + "test_outputs_keep_the_order_of_the_images_over_batches",
    ),
    Mutant(
        "kNN compares by length, too",
        "sslcli/evaluation/neighbours.py", "bank = F.normalize(bank)", "bank = bank.clone()", VOTES,
    ),
    Mutant(
        "kNN asks one neighbour too few", KNN, "k=min(k, len(bank)))", "k=min(k, len(bank)) - 1)", VOTES,
    ),
    Mutant(
        "kNN's temperature is upside down", KNN, "cosines / temperature", "cosines * temperature", VOTES,
    ),
    Mutant(
        "a feature that never varies is divided by 0", LINEAR,
        "torch.where(deviation > 1e-6 * mean.abs().clamp(min=1e-12), deviation, 1.0)", "deviation.clone()",
        "test_evaluation.py::test_features_that_never_vary_stay_finite",
    ),
    Mutant(
        "a rate is judged by its last epoch", LINEAR,
        "best = torch.maximum(best, (guesses == val_labels).float().mean(1).cpu())",
        "best = (guesses == val_labels).float().mean(1).cpu()",
        "test_evaluation.py::test_a_rate_is_judged_by_its_best_epoch_on_the_validation_images",
    ),
    Mutant(
        "the rates that are searched are a sixth of what they are called", LINEAR,
        "(losses * rates).sum().backward()", "(losses * rates).mean().backward()",
        "test_evaluation.py::test_training_all_rates_at_once_equals_training_one",
    ),
    Mutant(
        "on augmented images every rate is the same", LINEAR,
        "return (losses * torch.tensor(RATES, device=h.device)).sum()",
        "return (losses * torch.ones(len(RATES), device=h.device)).sum()",
        "test_protocols.py::test_all_rates_on_augmented_images_train_as_each_would_alone",
    ),
    Mutant(
        "the strength of logistic regression is chosen on the training images", "sslcli/evaluation/logistic.py",
        "model.score(val_features.numpy(), val_labels.numpy())", "model.score(features.numpy(), labels.numpy())",
        CHOICES + "test_logistic_regression_takes_the_strength_that_does_best_on_the_validation_images",
    ),
    Mutant(
        "of two classes logistic regression names the other", "sslcli/evaluation/logistic.py",
        "torch.cat([-weight, weight]) / 2", "torch.cat([weight, -weight]) / 2",
        "test_protocols.py::test_logistic_regression_chooses_its_strength_on_validation_images",
    ),
    Mutant(
        "the loss of an evaluation is a sum", "sslcli/evaluation/metrics.py",
        "F.cross_entropy(logits, labels).item()", 'F.cross_entropy(logits, labels, reduction="sum").item()',
        CHOICES + "test_accuracy_counts_what_is_right_and_the_loss_is_the_mean_cross_entropy",
    ),
    Mutant(
        "too much and too little confidence cancel in the calibration error", QUALITY,
        "count * abs(accuracy - confidence)", "count * (accuracy - confidence)", LITERAL,
    ),
    Mutant(
        "confusions are counted by predicted and true class, not by true and predicted", QUALITY,
        "confusion_matrix(answers.labels, answers.predicted,", "confusion_matrix(answers.predicted, answers.labels,", LITERAL,
    ),
    Mutant(
        "risk over coverage answers the least confident first", QUALITY, "np.unique(-confidence,", "np.unique(confidence,",
        LITERAL,
    ),
    Mutant(
        "among equal logits the last class counts", "sslcli/evaluation/test_logits.py",
        "self.logits.argmax(1) == self.labels", "self.logits.shape[1] - 1 - self.logits[:, ::-1].argmax(1) == self.labels",
        "test_quality.py::test_equal_logits_say_the_first_class_as_the_kept_logits_do",
    ),
    Mutant(
        "the rank of h counts its mean", MEASURES, "h.double() - h.double().mean(0)", "h.double()", HEALTH,
    ),
    Mutant(
        "alignment is over dimensions, not over images", MEASURES,
        "(first - second).square().sum(1).mean()", "(first - second).square().mean()", HEALTH,
    ),
    Mutant(
        "kNN during pretraining finds each image in its own bank", "sslcli/plans/online_metrics.py",
        "bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]]",
        "bank = torch.cat([parts.train, parts.val])",
        "test_evaluation.py::test_the_knn_bank_leaves_the_validation_images_out",
    ),
    Mutant(
        "RankMe takes the mean away", FREE,
        "_gram_eigenvalues(z.cpu().double())", "_gram_eigenvalues((z - z.mean(0)).cpu().double())",
        "test_label_free.py::test_rankme_is_the_formula_on_the_singular_values_of_z_as_it_is",
    ),
    Mutant(
        "LiDAR leaves out how views differ", FREE,
        "covariance = within.mT @ within / len(within)", "covariance = torch.eye(h.shape[2], dtype=h.dtype)",
        "test_label_free.py::test_lidar_counts_the_directions_that_tell_images_apart_and_not_those_in_which_views_differ",
    ),
    Mutant(
        "alpha-ReQ weighs all ranks alike", FREE,
        "weight = 1 / rank", "weight = torch.ones_like(rank)",
        "test_label_free.py::test_alpha_is_the_weighted_line_through_the_logarithms_of_ranks_4_to_100",
    ),
    Mutant(
        "the warning of collapse goes by running means", "sslcli/workflows/pretraining.py",
        'if "train/z_std" in measured else {}', "if False else {}",
        "test_collapse.py::test_no_short_run_of_any_method_is_called_collapsed",
    ),
    Mutant(
        "alpha-ReQ is fitted from the first eigenvalue on", FREE, "FIRST, LAST = 4, 100", "FIRST, LAST = 1, 100",
        "test_label_free.py::test_alpha_is_the_weighted_line_through_the_logarithms_of_ranks_4_to_100",
    ),
    Mutant(
        "LiDAR counts the mean of all images", FREE,
        "between = (means - means.mean(0))", "between = means",
        "test_label_free.py::test_lidar_is_the_formula_on_covariances_that_are_added_up_here",
    ),
    Mutant(
        "RankMe is of h, as the rank of health is", "sslcli/plans/online_metrics.py",
        "label_free(z[0] if z else h_queries, h_queries, h_views)", "label_free(h_queries, h_queries, h_views)",
        "test_label_free.py::test_lidar_is_measured_on_views_that_differ_of_so_many_images",
    ),
    Mutant(
        "LiDAR's views of an image are all the same", "sslcli/plans/online_metrics.py",
        '_view(options, data, "lidar", number)', '_view(options, data, "lidar", 0)',
        "test_label_free.py::test_lidar_is_measured_on_views_that_differ_of_so_many_images",
    ),
    Mutant(
        "projections along one direction are no collapse", MEASURES,
        'measured.get("rankme", LEAST_RANKME) < LEAST_RANKME', 'measured.get("rankme", LEAST_RANKME) < 0',
        "test_health.py::test_projections_along_one_direction_are_called_collapsed",
    ),
    Mutant(
        "watched images that ask answer, too", "sslcli/plans/watching.py",
        "bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]]",
        "bank = torch.cat([parts.train, parts.val])",
        "test_watch.py::test_of_the_watched_set_the_test_part_and_the_labels_of_those_that_ask_train_nothing",
    ),
    Mutant(
        "watching makes a run another one", "sslcli/options/pairing.py", '"fit", "watch")', '"fit")',
        "test_watch.py::test_no_weight_knows_of_the_watched_labels_and_the_figures_are_recorded",
    ),
)  # fmt: skip
