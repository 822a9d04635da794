"""Wrong versions of what is said of own pictures: folds, labels predicted, wanted and doubted, others' encoders, cards."""

from tests.mutants.mutant import in_file

TEMPERATURE, UNLIKE, CHOOSING = (f"sslcli/evaluation/{name}.py" for name in ("temperature", "unlike", "choosing"))
SUSPECTS, OUTLIERS = "sslcli/evaluation/suspects.py", "sslcli/evaluation/outliers.py"
FOLDS, IN_FOLDS, OF_FOLDS = "sslcli/data/folds.py", "sslcli/workflows/in_folds.py", "sslcli/comparison/in_folds.py"
REST, NEXT, RATING = (f"sslcli/labelling/{name}.py" for name in ("rest", "next_labels", "rating"))
ARMS, STURDY, ELSEWHERE = "sslcli/comparison/arms.py", "sslcli/cards/sturdiness.py", "sslcli/cards/elsewhere.py"

MUTANTS = (
    *in_file(
        TEMPERATURE,
        ("the temperature does not count the picture of an unknown class",
         "(count * of_label + scores.sum(1) / classes).sum() / (count + 1)", "of_label.sum()",
         "test_temperature.py::test_a_few_pictures_that_are_all_right_do_not_make_a_classifier_certain"),
        ("the temperature multiplies the logits",
         "(logits / temperature)", "(logits * temperature)",
         "test_rest.py::test_a_predicted_label_has_the_classifiers_class_and_its_confidence_at_the_chosen_temperature"),
    ),
    *in_file(
        UNLIKE,
        ("a picture is unlike all others by its nearest one",
         "[1][:, -1]", "[1][:, 0]",
         "test_temperature.py::test_the_distance_is_that_to_the_tenth_nearest_whatever_the_length"),
        ("half of what is usual counts as unlike",
         ".quantile(SHARE)", ".quantile(0.5)",
         "test_temperature.py::test_one_validation_picture_in_twenty_is_unlike_what_was_trained_on_and_a_foreign_one_is"),
    ),
    *in_file(
        CHOOSING,
        ("clusters that have labels are asked first",
         "(size < SMALLEST, counts[place], -size, place)", "(size < SMALLEST, -counts[place], -size, place)",
         "test_choosing.py::test_clusters_without_a_label_come_first_and_no_labelled_picture_is_asked_for"),
        ("the least typical picture of a cluster is asked for",
         "waiting[place].pop(0)", "waiting[place].pop()",
         "test_choosing.py::test_a_typical_picture_is_near_the_others_of_its_cluster"),
        ("a margin is between the most and the least probable class",
         "shares[:, -1] - shares[:, -2]", "shares[:, -1] - shares[:, 0]",
         "test_choosing.py::test_a_margin_is_between_the_two_most_probable_classes"),
    ),
    *in_file(
        SUSPECTS,
        ("labels are judged by a probe that learned them",
         "fit(points[~judged], labels[~judged])", "fit(points, labels)",
         "test_suspects.py::test_no_image_is_judged_by_a_probe_that_learned_its_label"),
        ("the least suspect label comes first",
         "np.argsort(given - other", "np.argsort(other - given",
         "test_suspects.py::test_suspects_are_those_of_a_literal_loop_over_the_paper"),
        ("all classes have one threshold",
         "np.bincount(places, weights=own) / np.bincount(places)", "np.full(shares.shape[1], own.mean())",
         "test_suspects.py::test_suspects_are_those_of_a_literal_loop_over_the_paper"),
    ),
    *in_file(
        OUTLIERS,
        ("equal scores count as told apart",
         "(ends[0] + ends[1]) / 2", "ends[1]",
         "test_outliers.py::test_auroc_counts_the_pairs_in_their_order_and_half_of_equal_ones"),
        ("the interval of two AUROCs leaves out the own images",
         "for of in apart))\n", "for of in apart[1:]))\n",
         "test_outliers.py::test_the_difference_of_two_aurocs_is_paired_and_has_delongs_variance"),
    ),
    *in_file(
        FOLDS,
        ("copies of a picture are in several folds",
         "found[of_copy[copies[int(firsts[member])]]]", "found[int(firsts[member])]",
         "test_folds.py::test_copies_of_a_picture_are_in_one_fold_even_with_other_labels"),
        ("a class is not spread over the folds",
         "count % folds", "label % folds",
         "test_folds.py::test_each_class_is_spread_over_all_folds_and_folds_are_equally_large"),
    ),
    *in_file(
        IN_FOLDS,
        ("a fold trains on itself",
         "(drawn.fold == number) == which", "(drawn.fold == number) | (not which)",
         "test_in_folds.py::test_each_labelled_image_is_tested_once_and_its_fold_trains_and_chooses_nothing"),
        ("representations stand at other images' places",
         "h[places.argsort().to(h.device)]", "h",
         "test_in_folds.py::test_each_labelled_image_is_tested_once_and_its_fold_trains_and_chooses_nothing"),
    ),
    *in_file(
        OF_FOLDS,
        ("an evaluation in folds is compared on its test images",
         '"test_images": figures["folds_images"]', '"test_images": figures["test_images"]',
         "test_in_folds.py::test_compare_takes_all_labelled_images_with_the_correction_for_overlap"),
    ),
    *in_file(
        REST,
        ("a predicted label may be tested on",
         'path, rater.names[label], "train"', 'path, rater.names[label], "test"',
         "test_rest.py::test_every_readable_picture_is_labelled_once_and_broken_ones_are_named "
         "test_rest.py::test_labels_and_parts_that_were_given_stay_so_that_no_test_is_on_predicted_labels"),
        ("labels that were given are predicted anew",
         "if (given := known.get(os.path.join(real, path))) is None:", "if not (given := ()):",
         "test_rest.py::test_labels_and_parts_that_were_given_stay_so_that_no_test_is_on_predicted_labels"),
    ),
    *in_file(
        RATING,
        ("the training images choose the temperature",
         "fit_temperature(classifier.head(val_h), data.train_labels[parts.val])",
         "fit_temperature(classifier.head(train_h), data.train_labels[parts.train])",
         "test_rest.py::test_a_predicted_label_has_the_classifiers_class_and_its_confidence_at_the_chosen_temperature"),
    ),
    *in_file(
        NEXT,
        ("pictures that are wanted for training are marked for the test",
         '"test" if test else "train"', '"test"',
         "test_next_labels.py::test_pictures_for_the_test_are_marked_as_such_and_pictures_chosen_later_are_for_training"),
        ("test pictures are asked for",
         'for line in data.manifest if line.part != "test"]', "for line in data.manifest]",
         "test_next_labels.py::test_the_labels_of_the_run_are_kept_with_their_parts_and_its_test_pictures_are_not_asked_for"),
    ),
    *in_file(
        ARMS,
        ("own pretraining minus another encoder has the wrong sign",
         "pairs = [(run, of_seeds[theirs][seed]) for", "pairs = [(of_seeds[theirs][seed], run) for",
         "test_arms.py::test_own_pretraining_minus_another_network_is_paired_over_the_test_images"),
        ("encoders are compared whatever the other options are",
         "way = (keys[run.id], run.protocol,", "way = (run.protocol,",
         "test_arms.py::test_evaluations_with_other_options_are_not_compared"),
    ),
    *in_file(
        STURDY,
        ("the score under corruption is that of the mildest",
         "np.mean([self.at(one).right.mean(0) for one in SEVERITIES], 0)", "self.at(1).right.mean(0)",
         "test_card.py::test_the_score_under_corruption_is_over_all_severities"),
        ("what corruption costs is half of it",
         "Difference(*(2 * end for end", "Difference(*(end for end",
         "test_card.py::test_the_gap_under_corruption_is_over_each_images_share_of_right_versions"),
    ),
    *in_file(
        ELSEWHERE,
        ("pictures that were trained on show whether the classifier holds elsewhere",
         "if any(with_labels):", "if all(with_labels) and not with_labels:",
         "test_card.py::test_pictures_of_the_same_classes_from_elsewhere_are_classified_and_never_those_that_were_trained_on"),
    ),
)  # fmt: skip
