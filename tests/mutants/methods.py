"""Wrong versions of the methods' losses, teachers, queues and schedules, and of replayed steps."""

from tests.mutants.mutant import Mutant

FOLDER = "sslcli/methods/"
CAPTURE = "sslcli/training/capture.py"
TEACHER = "test_teachers.py::test_a_teacher_follows_encoder_and_projector_with_the_papers_momentum"
QUEUE = "test_teachers.py::test_a_queue_takes_a_batch_in_after_it_was_compared_and_loses_the_oldest"
FROZEN = "test_clustering.py::test_prototypes_stay_as_they_are_for_the_part_of_training_that_was_chosen"
REPLAYED = "test_capture.py::test_replayed_steps_give_the_weights_of_steps_that_are_not"


def of_loss(method: str) -> str:
    """The test of a method's loss against its paper's formula."""
    return f"test_losses.py::test_loss_and_gradient_equal_the_papers_formula[{method}]"


MUTANTS = (
    Mutant(
        "BYOL's views predict their own targets", f"{FOLDER}byol.py",
        "for i in range(len(p)) for j in range(len(p)) if i != j]", "for i in range(len(p)) for j in range(len(p)) if i == j]",
        of_loss("byol"),
    ),
    Mutant(
        "BYOL predicts from the first view alone", f"{FOLDER}byol.py",
        "for i in range(len(p)) for j in range(len(p)) if i != j]", "for i in range(1) for j in range(len(p)) if i != j]",
        of_loss("byol"),
    ),
    Mutant(
        "BYOL's teacher follows the encoder with a momentum that does not rise", f"{FOLDER}byol.py",
        "momentum=rising(self.momentum, progress)", "momentum=self.momentum", f"{TEACHER}[byol-1.0]",
    ),
    Mutant(
        "SimSiam has a gradient through its target", f"{FOLDER}simsiam.py",
        "fixed = torch.stack(z).detach()", "fixed = torch.stack(z)", of_loss("simsiam"),
    ),
    Mutant(
        "SimSiam goes away from its target", f"{FOLDER}simsiam.py",
        "losses = [-cosine(", "losses = [cosine(", of_loss("simsiam"),
    ),
    Mutant(
        "SimSiam's predictor has the rate of all else", f"{FOLDER}simsiam.py",
        ", constant_lr=True)]", ")]", "test_teachers.py::test_simsiams_predictor_keeps_its_rate_and_all_else_follows_the_runs",
    ),
    Mutant(
        "MoCo v2's teacher stays as it was", f"{FOLDER}moco_v2.py",
        "follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=self.momentum)",
        "follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=1.0)", f"{TEACHER}[moco-v2-0.25]",
    ),
    Mutant(
        "MoCo v2's queue holds the student's projections", f"{FOLDER}moco_v2.py",
        "self.queue.push(gather(key))", "self.queue.push(gather(query))", f"{QUEUE}[moco-v2]",
    ),
    Mutant(
        "MoCo v2 compares a pair without the temperature", f"{FOLDER}moco_v2.py",
        "own = (query * key).sum(1, keepdim=True) / self.temperature", "own = (query * key).sum(1, keepdim=True)",
        of_loss("moco-v2"),
    ),
    Mutant(
        "MoCo v3 compares each view with its own key", f"{FOLDER}moco_v3.py",
        "self._contrast(z[0], second) + self._contrast(z[1], first)",
        "self._contrast(z[0], first) + self._contrast(z[1], second)", of_loss("moco-v3"),
    ),
    Mutant(
        "MoCo v3 compares projections without predicting", f"{FOLDER}moco_v3.py",
        "unit(self.predictor(z))", "unit(z)", of_loss("moco-v3"),
    ),
    Mutant(
        "MoCo v3 trains the patch projection of a transformer", f"{FOLDER}moco_v3.py",
        "parameter.requires_grad_(not name.startswith(PATCHES))", "parameter.requires_grad_(True)",
        "test_teachers.py::test_moco_v3_trains_all_of_an_encoder_but_a_transformers_patches",
    ),
    Mutant(
        "of DCL a pair is a candidate in its own comparison", f"{FOLDER}dcl.py",
        "for taken in (views, views.flip(0)):", "for taken in (views,):", of_loss("dcl"),
    ),
    Mutant(
        "DCLW's weights have a gradient", f"{FOLDER}dcl.py",
        "(pair.detach() / sigma)", "(pair / sigma)", "test_losses.py::test_loss_and_gradient_equal_the_papers_formula",
    ),
    Mutant(
        "DCLW gives near pairs more weight", f"{FOLDER}dcl.py",
        "2 - len(pair) * (pair.detach() / sigma)", "2 - len(pair) * (-pair.detach() / sigma)",
        "test_losses.py::test_loss_and_gradient_equal_the_papers_formula",
    ),
    Mutant(
        "NNCLR takes the farthest for the nearest", f"{FOLDER}nnclr.py",
        "temperature=1).argmax(1)]", "temperature=1).argmin(1)]", of_loss("nnclr"),
    ),
    Mutant(
        "NNCLR compares a view's neighbour with its own prediction", f"{FOLDER}nnclr.py",
        "self._contrast(near[0], p[1]) + self._contrast(near[1], p[0])",
        "self._contrast(near[0], p[0]) + self._contrast(near[1], p[1])", of_loss("nnclr"),
    ),
    Mutant(
        "NNCLR's queue holds the second view", f"{FOLDER}nnclr.py",
        "self.queue.push(gather(unit(z[0].detach())))", "self.queue.push(gather(unit(z[1].detach())))", f"{QUEUE}[nnclr]",
    ),
    Mutant(
        "a queue begins anew with each batch", f"{FOLDER}queue.py",
        "self.next.copy_((self.next + len(rows)) % size)", "self.next.copy_(self.next % size)",
        "test_heads.py::test_a_queue_holds_the_newest_rows_in_the_place_of_the_oldest",
    ),
    Mutant(
        "Barlow Twins rewards redundancy", f"{FOLDER}barlow_twins.py",
        "(1 - same).square().sum() + redundancy", "(1 - same).square().sum() - redundancy", of_loss("barlow-twins"),
    ),
    Mutant(
        "Barlow Twins asks each dimension to be opposite in the two views", f"{FOLDER}barlow_twins.py",
        "return (1 - same)", "return (1 + same)", of_loss("barlow-twins"),
    ),
    Mutant(
        "correlations of a dimension with itself count as redundancy", f"{FOLDER}moments.py",
        "return whole - (first * second).sum(0).square().sum()", "return whole",
        "test_decorrelation.py::test_squares_off_the_diagonal_are_had_from_either_product_with_the_same_gradient",
    ),
    Mutant(
        "VICReg's covariances are not about the mean", f"{FOLDER}vicreg.py",
        "centred = z - z.mean(1, keepdim=True)", "centred = z", of_loss("vicreg"),
    ),
    Mutant(
        "VICReg asks for little variance", f"{FOLDER}vicreg.py",
        "F.relu(1 - (z.var(1) + EPSILON).sqrt())", "F.relu((z.var(1) + EPSILON).sqrt() - 1)",
        f"{of_loss('vicreg')} test_decorrelation.py::"
        "test_vicreg_collapses_without_its_variance_term_and_the_health_line_says_so_and_with_it_does_not",
    ),
    Mutant(
        "VICReg counts the covariances of half its views", f"{FOLDER}vicreg.py",
        "2 * torch.stack(covariances).mean()", "torch.stack(covariances).mean()", of_loss("vicreg"),
    ),
    Mutant(
        "SIGReg's statistic leaves out the imaginary part", f"{FOLDER}sigreg.py",
        " + angles.sin().mean(1).square()", "", of_loss("sigreg"),
    ),
    Mutant(
        "SIGReg's small views pull on the mean", f"{FOLDER}sigreg.py",
        "(of_all - of_all[: self.options.views].mean(0))", "(of_all - of_all.mean(0))",
        "test_losses.py::test_loss_and_gradient_equal_the_papers_formula",
    ),
    Mutant(
        "SIGReg's two weights change places", f"{FOLDER}sigreg.py",
        'share * terms["gaussian"] + (1 - share) * terms["agreement"]',
        '(1 - share) * terms["gaussian"] + share * terms["agreement"]', of_loss("sigreg"),
    ),
    Mutant(
        "SwAV's views predict their own codes", f"{FOLDER}swav.py",
        "F.cross_entropy(scores[j] / self.options.temperature, codes[i])",
        "F.cross_entropy(scores[i] / self.options.temperature, codes[i])", of_loss("swav"),
    ),
    Mutant(
        "SwAV's images are not spread over the prototypes", f"{FOLDER}swav.py",
        "codes = codes / codes.sum(0)", "codes = codes / codes.sum()",
        "test_clustering.py::test_codes_add_up_to_one_an_image_and_are_spread_over_the_prototypes",
    ),
    Mutant(
        "SwAV's prototypes are of any length", f"{FOLDER}swav.py",
        "self.prototypes.copy_(unit(self.prototypes))", "self.prototypes.copy_(self.prototypes)",
        "test_clustering.py::test_swavs_prototypes_are_of_unit_length_at_first_and_after_every_step",
    ),
    Mutant(
        "SwAV's prototypes are never frozen", f"{FOLDER}swav.py",
        "self.prototypes.grad = None", "pass", f"{FROZEN}[swav]",
    ),
    Mutant(
        "DINO's centre is added", f"{FOLDER}dino.py", "(seen - self.centre)", "(seen + self.centre)", of_loss("dino"),
    ),
    Mutant(
        "DINO's centre stays at nothing", f"{FOLDER}dino.py",
        "1 - self.options.centre_momentum)", "0.0)",
        "test_clustering.py::"
        "test_dinos_centre_moves_by_a_part_of_the_way_to_the_mean_of_the_teachers_outputs_after_they_are_compared",
    ),
    Mutant(
        "DINO's student sees its own view's target", f"{FOLDER}dino.py",
        "for i in range(2) for j in range(len(logits)) if i != j]", "for i in range(2) for j in range(len(logits))]",
        of_loss("dino"),
    ),
    Mutant(
        "DINO's student is measured, not its teacher", f"{FOLDER}dino.py",
        "return self.teacher\n", "return self.encoder\n",
        "test_clustering.py::test_of_dino_the_teacher_is_measured_and_no_gradient_trains_it",
    ),
    Mutant(
        "a teacher's momentum falls", f"{FOLDER}heads.py",
        "return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2",
        "return 1 - (1 - momentum) * (1 - math.cos(math.pi * progress)) / 2",
        "test_heads.py::test_a_rising_momentum_goes_to_1_along_half_a_cosine",
    ),
    Mutant(
        "a teacher takes most of its student at each step", f"{FOLDER}heads.py",
        "old.lerp_(new, 1 - momentum)", "old.lerp_(new, momentum)",
        "test_heads.py::test_a_teacher_begins_as_its_student_and_moves_by_a_part_of_the_difference",
    ),
    Mutant(
        "MAE predicts what it is shown", f"{FOLDER}mae.py",
        "pixels = taken(pixels_of(view, self.side), hidden)", "pixels = taken(pixels_of(view, self.side), hidden * 0)",
        of_loss("mae"),
    ),
    Mutant(
        "MAE's patches are not normalised by their own deviation", f"{FOLDER}mae.py",
        " / (pixels.var(-1, keepdim=True) + 1e-6).sqrt()", "", of_loss("mae"),
    ),
    Mutant(
        "MAE hides the same patches at every step", f"{FOLDER}mae.py", "self.step += 1", "self.step += 0",
        "test_mae.py::test_the_seed_of_a_run_and_each_step_change_the_masks_and_a_method_built_again_has_the_same",
    ),
    Mutant(
        "a replayed step sees the images of the first", CAPTURE, "mine.copy_(given)", "mine.copy_(mine)", f"{REPLAYED}[byol]",
    ),
    Mutant(
        "a replayed step keeps the gradients of the step before", CAPTURE, "        replay()\n", "", f"{REPLAYED}[byol]",
    ),
    Mutant(
        "of replayed steps the views' sizes share a record", CAPTURE,
        "key=tuple(view.shape for view in views)", "key=len(views)", f"{REPLAYED}[byol]",
    ),
)  # fmt: skip
