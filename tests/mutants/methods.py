"""Wrong versions of the methods' losses, teachers, queues and schedules, and of replayed steps."""

from tests.mutants.mutant import Mutant, in_file

FOLDER = "sslcli/methods/"
CAPTURE = "sslcli/training/capture.py"
TEACHER = "test_teachers.py::test_a_teacher_follows_encoder_and_projector_with_the_papers_momentum"
QUEUE = "test_teachers.py::test_a_queue_takes_a_batch_in_after_it_was_compared_and_loses_the_oldest"
FROZEN = "test_clustering.py::test_prototypes_stay_as_they_are_for_the_part_of_training_that_was_chosen"
REPLAYED = "test_capture.py::test_replayed_steps_give_the_weights_of_steps_that_are_not"


def of_loss(method: str) -> str:
    """The test of a method's loss against its paper's formula."""
    return f"test_losses.py::test_loss_and_gradient_equal_the_papers_formula[{method}]"


def of_method(method: str, *rows: tuple[str, ...]) -> tuple[Mutant, ...]:
    """The mutants of a method's file; the test of its loss is for the rows that name none."""
    return in_file(f"{FOLDER}{method.replace('-', '_')}.py", *rows, tests=of_loss(method))


MUTANTS = (
    *of_method(
        "byol",
        ("BYOL's views predict their own targets",
         "for i in range(len(p)) for j in range(len(p)) if i != j]",
         "for i in range(len(p)) for j in range(len(p)) if i == j]"),
        ("BYOL predicts from the first view alone",
         "for i in range(len(p)) for j in range(len(p)) if i != j]", "for i in range(1) for j in range(len(p)) if i != j]"),
        ("BYOL's teacher follows the encoder with a momentum that does not rise",
         "momentum=rising(self.momentum, progress)", "momentum=self.momentum", f"{TEACHER}[byol-1.0]"),
    ),
    *of_method(
        "simsiam",
        ("SimSiam has a gradient through its target", "fixed = torch.stack(z).detach()", "fixed = torch.stack(z)"),
        ("SimSiam goes away from its target", "losses = [-cosine(", "losses = [cosine("),
        ("SimSiam's predictor has the rate of all else",
         ", constant_lr=True)]", ")]",
         "test_teachers.py::test_simsiams_predictor_keeps_its_rate_and_all_else_follows_the_runs"),
    ),
    *of_method(
        "moco-v2",
        ("MoCo v2's teacher stays as it was",
         "follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=self.momentum)",
         "follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=1.0)", f"{TEACHER}[moco-v2-0.25]"),
        ("MoCo v2's queue holds the student's projections",
         "self.queue.push(gather(key))", "self.queue.push(gather(query))", f"{QUEUE}[moco-v2]"),
        ("MoCo v2 compares a pair without the temperature",
         "own = (query * key).sum(1, keepdim=True) / self.temperature", "own = (query * key).sum(1, keepdim=True)"),
    ),
    *of_method(
        "moco-v3",
        ("MoCo v3 compares each view with its own key",
         "self._contrast(z[0], second) + self._contrast(z[1], first)",
         "self._contrast(z[0], first) + self._contrast(z[1], second)"),
        ("MoCo v3 compares projections without predicting", "unit(self.predictor(z))", "unit(z)"),
        ("MoCo v3 trains the patch projection of a transformer",
         "parameter.requires_grad_(not name.startswith(PATCHES))", "parameter.requires_grad_(True)",
         "test_teachers.py::test_moco_v3_trains_all_of_an_encoder_but_a_transformers_patches"),
    ),
    *of_method(
        "dcl",
        ("of DCL a pair is a candidate in its own comparison",
         "for taken in (views, views.flip(0)):", "for taken in (views,):"),
        ("DCLW's weights have a gradient",
         "(pair.detach() / sigma)", "(pair / sigma)", "test_losses.py::test_loss_and_gradient_equal_the_papers_formula"),
        ("DCLW gives near pairs more weight",
         "2 - len(pair) * (pair.detach() / sigma)", "2 - len(pair) * (-pair.detach() / sigma)",
         "test_losses.py::test_loss_and_gradient_equal_the_papers_formula"),
    ),
    *of_method(
        "nnclr",
        ("NNCLR takes the farthest for the nearest", "temperature=1).argmax(1)]", "temperature=1).argmin(1)]"),
        ("NNCLR compares a view's neighbour with its own prediction",
         "self._contrast(near[0], p[1]) + self._contrast(near[1], p[0])",
         "self._contrast(near[0], p[0]) + self._contrast(near[1], p[1])"),
        ("NNCLR's queue holds the second view",
         "self.queue.push(gather(unit(z[0].detach())))", "self.queue.push(gather(unit(z[1].detach())))", f"{QUEUE}[nnclr]"),
    ),
    Mutant(
        "a queue begins anew with each batch", f"{FOLDER}queue.py",
        "self.next.copy_((self.next + len(rows)) % size)", "self.next.copy_(self.next % size)",
        "test_heads.py::test_a_queue_holds_the_newest_rows_in_the_place_of_the_oldest",
    ),
    *of_method(
        "barlow-twins",
        ("Barlow Twins rewards redundancy", "(1 - same).square().sum() + redundancy", "(1 - same).square().sum() - redundancy"),
        ("Barlow Twins asks each dimension to be opposite in the two views", "return (1 - same)", "return (1 + same)"),
    ),
    Mutant(
        "correlations of a dimension with itself count as redundancy", f"{FOLDER}moments.py",
        "return whole - (first * second).sum(0).square().sum()", "return whole",
        "test_decorrelation.py::test_squares_off_the_diagonal_are_had_from_either_product_with_the_same_gradient",
    ),
    *of_method(
        "vicreg",
        ("VICReg's covariances are not about the mean", "centred = z - z.mean(1, keepdim=True)", "centred = z"),
        ("VICReg asks for little variance",
         "F.relu(1 - (z.var(1) + EPSILON).sqrt())", "F.relu((z.var(1) + EPSILON).sqrt() - 1)",
         f"{of_loss('vicreg')} test_decorrelation.py::"
         "test_vicreg_collapses_without_its_variance_term_and_the_health_line_says_so_and_with_it_does_not"),
        ("VICReg counts the covariances of half its views",
         "2 * torch.stack(covariances).mean()", "torch.stack(covariances).mean()"),
    ),
    *of_method(
        "sigreg",
        ("SIGReg's statistic leaves out the imaginary part", " + angles.sin().mean(1).square()", ""),
        ("SIGReg's small views pull on the mean",
         "(of_all - of_all[: self.options.views].mean(0))", "(of_all - of_all.mean(0))",
         "test_losses.py::test_loss_and_gradient_equal_the_papers_formula"),
        ("SIGReg's two weights change places",
         'share * terms["gaussian"] + (1 - share) * terms["agreement"]',
         '(1 - share) * terms["gaussian"] + share * terms["agreement"]'),
    ),
    *of_method(
        "swav",
        ("SwAV's views predict their own codes",
         "F.cross_entropy(scores[j] / self.options.temperature, codes[i])",
         "F.cross_entropy(scores[i] / self.options.temperature, codes[i])"),
        ("SwAV's images are not spread over the prototypes",
         "codes = codes / codes.sum(0)", "codes = codes / codes.sum()",
         "test_clustering.py::test_codes_add_up_to_one_an_image_and_are_spread_over_the_prototypes"),
        ("SwAV's prototypes are of any length",
         "self.prototypes.copy_(unit(self.prototypes))", "self.prototypes.copy_(self.prototypes)",
         "test_clustering.py::test_swavs_prototypes_are_of_unit_length_at_first_and_after_every_step"),
        ("SwAV's prototypes are never frozen", "self.prototypes.grad = None", "pass", f"{FROZEN}[swav]"),
    ),
    *of_method(
        "dino",
        ("DINO's centre is added", "(seen - self.centre)", "(seen + self.centre)"),
        ("DINO's centre stays at nothing",
         "1 - self.options.centre_momentum)", "0.0)",
         "test_clustering.py::"
         "test_dinos_centre_moves_by_a_part_of_the_way_to_the_mean_of_the_teachers_outputs_after_they_are_compared"),
        ("DINO's student sees its own view's target",
         "for i in range(2) for j in range(len(logits)) if i != j]", "for i in range(2) for j in range(len(logits))]"),
        ("DINO's student is measured, not its teacher",
         "return self.teacher\n", "return self.encoder\n",
         "test_clustering.py::test_of_dino_the_teacher_is_measured_and_no_gradient_trains_it"),
    ),
    *in_file(
        f"{FOLDER}heads.py",
        ("a teacher's momentum falls",
         "return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2",
         "return 1 - (1 - momentum) * (1 - math.cos(math.pi * progress)) / 2",
         "test_heads.py::test_a_rising_momentum_goes_to_1_along_half_a_cosine"),
        ("a teacher takes most of its student at each step",
         "old.lerp_(new, 1 - momentum)", "old.lerp_(new, momentum)",
         "test_heads.py::test_a_teacher_begins_as_its_student_and_moves_by_a_part_of_the_difference"),
    ),
    *of_method(
        "mae",
        ("MAE predicts what it is shown",
         "pixels = taken(pixels_of(view, self.side), hidden)", "pixels = taken(pixels_of(view, self.side), hidden * 0)"),
        ("MAE's patches are not normalised by their own deviation", " / (pixels.var(-1, keepdim=True) + 1e-6).sqrt()", ""),
        ("MAE hides the same patches at every step",
         "self.step += 1", "self.step += 0",
         "test_mae.py::test_the_seed_of_a_run_and_each_step_change_the_masks_and_a_method_built_again_has_the_same"),
    ),
    *in_file(
        CAPTURE,
        ("a replayed step sees the images of the first", "mine.copy_(given)", "mine.copy_(mine)"),
        ("a replayed step keeps the gradients of the step before", "        replay()\n", ""),
        ("of replayed steps the views' sizes share a record", "key=tuple(view.shape for view in views)", "key=len(views)"),
        tests=f"{REPLAYED}[byol]",
    ),
)  # fmt: skip
