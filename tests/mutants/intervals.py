"""Wrong versions of how runs are paired, their differences counted, and an interval called a gain."""

from tests.mutants.mutant import Mutant

DIFFERENCES, COMPARE = "sslcli/comparison/differences.py", "sslcli/comparison/comparison.py"
STATISTICS = "sslcli/evaluation/statistics.py"
PAIRS = "test_pairs.py::"
IMAGES = PAIRS + "test_an_interval_is_that_of_the_images_themselves"
UNKNOWN = PAIRS + "test_without_counts_an_interval_is_that_of_independent_ones"
GAIN = PAIRS + "test_only_an_interval_on_one_side_of_zero_is_called_a_gain_or_a_loss"
RANKING, ROWS = "sslcli/comparison/ranking.py", "sslcli/comparison/ranking_rows.py"
HOLM = "test_ranking.py::test_which_methods_are_worse_is_what_holms_procedure_says"

MUTANTS = (
    Mutant(
        "a difference above 0 is called a gain, whatever its interval", STATISTICS,
        '"gain" if self.low > 0 else', '"gain" if self.difference > 0 else', GAIN,
    ),
    Mutant(
        "an interval around 0 is called a loss", STATISTICS,
        '"loss" if self.high < 0 else', '"loss" if self.low < 0 else', GAIN,
    ),
    Mutant(
        "a difference is scratch minus pretrained", DIFFERENCES,
        "differences = [a - b for a, b in zip(first, second, strict=True)]",
        "differences = [b - a for a, b in zip(first, second, strict=True)]",
        PAIRS + "test_a_difference_is_pretrained_minus_scratch_and_its_means_are_over_all_seeds",
    ),
    Mutant(
        "the spread over seeds divides by their number", DIFFERENCES, "from statistics import fmean, stdev",
        "from statistics import fmean\nfrom statistics import pstdev as stdev",
        PAIRS + "test_a_difference_is_pretrained_minus_scratch_and_its_means_are_over_all_seeds",
    ),
    Mutant(
        "runs on other numbers of test images are paired", DIFFERENCES,
        "if _metric([pair]) and images_of(pair[0]) == images_of(pair[1])]", "if _metric([pair])]",
        PAIRS + "test_pairs_have_the_same_options_and_the_test_images_of_both",
    ),
    Mutant(
        "a pretrained run is paired with any scratch run", DIFFERENCES,
        'pairs = [(run, scratch[run.pair]) for run in runs if run.init not in (None, "scratch") and run.pair in scratch]',
        'pairs = [(run, max(scratch.values(), key=id)) for run in runs if run.init not in (None, "scratch") and scratch]',
        PAIRS + "test_pairs_have_the_same_options_and_the_test_images_of_both",
    ),
    Mutant(
        "the best over epochs, chosen on test, is compared first", DIFFERENCES,
        '("test_acc", "best_test_acc") if all', '("best_test_acc", "test_acc") if all',
        PAIRS + "test_the_accuracy_that_validation_chose_is_compared_before_the_best_over_epochs",
    ),
    Mutant(
        "of a seed that was repeated the oldest pair counts", DIFFERENCES,
        "_metric([pair])), {})[pair[0].seed] = pair", "_metric([pair])), {}).setdefault(pair[0].seed, pair)",
        PAIRS + "test_settings_are_told_apart_and_of_each_seed_the_newest_pair_counts",
    ),
    Mutant(
        "differences of few and of all labels are averaged", DIFFERENCES,
        "run.dataset, run.label_fraction, run.at_epoch, run.setup or run.pair or run.id, run.init", "run.dataset, run.init",
        PAIRS + "test_settings_are_told_apart_and_of_each_seed_the_newest_pair_counts",
    ),
    Mutant(
        "counts of other test images make an interval", DIFFERENCES,
        "if count is None or (images := images_of(first)) != images_of(second):",
        "if count is None or not (images := images_of(first)):",
        PAIRS + "test_the_count_of_two_runs_is_found_in_either_and_only_of_equally_many_images",
    ),
    Mutant(
        "an interrupted evaluation is compared", "sslcli/comparison/comparison.py", 'run.status in ("finished", "published")',
        'run.status in ("finished", "published", "running", "failed")',
        PAIRS + "test_only_finished_evaluations_are_compared_and_of_equal_ones_the_newest",
    ),
    Mutant(
        "of equal runs the oldest is shown", "sslcli/comparison/comparison.py",
        "return list({same(run): run for run in runs}.values())",
        "return list({same(run): run for run in list(runs)[::-1]}.values())",
        PAIRS + "test_only_finished_evaluations_are_compared_and_of_equal_ones_the_newest",
    ),
    Mutant(
        "a probe of an earlier epoch stands in the place of the last one's", "sslcli/comparison/comparison.py",
        "return run.experiment, run.pair or run.id, run.init, parent, run.at_epoch",
        "return run.experiment, run.pair or run.id, run.init, parent",
        PAIRS + "test_an_earlier_epochs_probe_never_stands_in_the_place_of_the_last_ones",
    ),
    Mutant(
        "the table shows the best seed for the mean",
        "sslcli/comparison/rows.py", 'f"{fmean(known):.2%} ±', 'f"{max(known):.2%} ±',
        "test_compare.py::test_a_seed_whose_pretraining_was_repeated_counts_once",
    ),
    Mutant(
        "runs on other data are a pair", "sslcli/options/pairing.py",
        "json.dumps([experiment, shared, fingerprint], sort_keys=True)", "json.dumps([experiment, shared], sort_keys=True)",
        PAIRS + "test_runs_are_a_pair_where_they_differ_in_init_and_where_things_are_alone",
    ),
    Mutant(
        "runs with other parts of the labels are a pair", "sslcli/options/pairing.py",
        'NOT_IN_PAIR = ("init",', 'NOT_IN_PAIR = ("label_fraction", "init",',
        PAIRS + "test_runs_are_a_pair_where_they_differ_in_init_and_where_things_are_alone",
    ),
    Mutant(
        "right by both counts what either has right", "sslcli/workflows/finishing.py",
        "int((theirs.right & kept.right).sum())", "int((theirs.right | kept.right).sum())",
        "test_choices.py::test_right_by_both_is_counted_image_by_image_for_runs_of_the_setup_and_the_same_images",
    ),
    Mutant(
        "right by both is counted over other images", "sslcli/workflows/finishing.py",
        "if np.array_equal(theirs.indices, kept.indices):", "if len(theirs.indices) == len(kept.indices):",
        "test_choices.py::test_right_by_both_is_counted_image_by_image_for_runs_of_the_setup_and_the_same_images",
    ),
    Mutant(
        "two seeds' differences are multiplied with a wrong sign", DIFFERENCES,
        "(counts[0] - counts[1] - counts[2] + counts[3])", "(counts[0] - counts[1] + counts[2] + counts[3])", IMAGES,
    ),
    Mutant(
        "what both have right counts as a disagreement", DIFFERENCES, "- 2 * both) / images_of", "- both) / images_of", IMAGES,
    ),
    Mutant(
        "two seeds are told as surely as if their images were not the same", STATISTICS,
        "(sum(disagreements) + 2 * sum(products)) / seeds**2", "sum(disagreements) / seeds**2", IMAGES,
    ),
    Mutant(
        "the covariance of seeds forgets their means", STATISTICS,
        "shared = fmean(products) - (sum(differences) ** 2 - sum(d * d for d in differences)) / (seeds * (seeds - 1))",
        "shared = fmean(products)", IMAGES,
    ),
    Mutant(
        "an interval has no width where seeds agree", STATISTICS,
        "half = max(half, sqrt(over**2 + quantile**2 * max(0.0, shared) / images))",
        "half = sqrt(over**2 + quantile**2 * max(0.0, shared) / images)",
        "test_statistics.py::test_two_seeds_with_equal_differences_leave_some_doubt",
    ),
    Mutant(
        "an interval over seeds leaves the images out", STATISTICS,
        "sqrt(over**2 + quantile**2 * max(0.0, shared) / images)", "over", IMAGES,
    ),
    Mutant(
        "few seeds are as sure as many", STATISTICS, "over = t_quantile(freedom, tail) *", "over = 1.96 *", IMAGES,
    ),
    Mutant(
        "a difference of few images lacks its correction", STATISTICS,
        "centre, half = images * mean / more, half + 1 / more", "centre = images * mean / more", IMAGES,
    ),
    Mutant(
        "an interval goes beyond what is possible", STATISTICS,
        "max(-1.0, centre - half), min(1.0, centre + half)", "centre - half, centre + half",
        "test_statistics.py::test_every_interval_has_a_width_holds_its_difference_and_is_possible",
    ),
    Mutant(
        "without counts the variance is that of one classifier", STATISTICS,
        "variance_of_one = sum(p * (1 - p) for p in smoothed)", "variance_of_one = max(p * (1 - p) for p in smoothed)", UNKNOWN,
    ),
    Mutant(
        "Student's t is that of one seed more", STATISTICS, "a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)",
        "freedom += 1\n    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)",
        "test_statistics.py::test_quantiles_are_scipys",
    ),
    Mutant(
        "Holm's procedure stops after its first step", RANKING,
        "tail = TAIL / max(1, len(comparisons) - len(told))", "tail = TAIL / max(1, len(comparisons))", HOLM,
    ),
    Mutant(
        "a ranking corrects for the comparisons with the best alone", RANKING,
        "for first, second in combinations(range(len(ordered)), 2):",
        "for first, second in ((0, other) for other in range(1, len(ordered))):", HOLM,
    ),
    Mutant(
        "the worst method comes first", RANKING, "key=lambda method: -fmean(", "key=lambda method: fmean(",
        "test_ranking.py::test_a_ranking_has_means_deviations_and_paired_differences_from_the_best",
    ),
    Mutant(
        "each pair of methods goes by its own variance over few seeds", RANKING,
        "widest = max(of_method[first] + of_method[second], 2 * mean)", "widest = of_method[first] + of_method[second]",
        "test_ranking.py::test_a_ranking_has_means_deviations_and_paired_differences_from_the_best",
    ),
    Mutant(
        "the table calls what cannot be told worse", ROWS,
        '"worse" if ranked.is_worse else "cannot be told"', '"cannot be told" if ranked.is_worse else "worse"',
        "test_ranking.py::test_compare_ranks_methods_below_its_answer_in_lines_that_fit",
    ),
    Mutant(
        "the table says nothing of the correction", ROWS, "if ranking.comparisons < 2:", "if ranking.comparisons < 200:",
        "test_ranking.py::test_compare_ranks_methods_below_its_answer_in_lines_that_fit",
    ),
    Mutant(
        "the sentence says that the worse ones cannot be told from the best", RANKING,
        "[one for one in self.methods[1:] if not one.is_worse]", "[one for one in self.methods[1:] if one.is_worse]",
        "test_ranking.py::test_the_sentence_names_the_best_and_what_cannot_be_told_from_it",
    ),
)  # fmt: skip
