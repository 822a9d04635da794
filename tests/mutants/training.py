"""Wrong versions of what is trained and how: views, loss, optimizers, the loop, the rate, precision."""

from tests.mutants.mutant import Mutant

SIMCLR, OPTIM, LOOP = "sslcli/methods/simclr.py", "sslcli/training/optim.py", "sslcli/training/loop.py"
COMMON, VIEWS = "sslcli/plans/settling.py", "sslcli/plans/views.py"
LOSS = "test_simclr.py::test_loss_and_gradient_equal_the_literal_loop"
MUON = "test_optim.py::test_muons_steps_are_those_of_its_author_written_out_in_float64"
STEPS = "test_loop.py::test_fit_takes_the_steps_that_are_written_out_here"

MUTANTS = (
    Mutant(
        "both views of an image are the same", VIEWS,
        "sample_parameters(count, height, width, augmentation, random).of(own_part(count)) for _, augmentation in wanted",
        "*[sample_parameters(count, height, width, usual, random).of(own_part(count))] * len(wanted)",
        "test_view_making.py::test_the_two_views_of_an_image_are_drawn_apart",
    ),
    Mutant(
        "an image is cropped alike at every step", VIEWS,
        'random = generator(options.seed, "views", step)', 'random = generator(options.seed, "views")',
        "test_view_making.py::test_every_step_has_views_of_its_own_and_always_the_same",
    ),
    Mutant(
        "views grow one step late", VIEWS, "if step < until * steps)", "if step <= until * steps)",
        "test_view_making.py::test_views_have_the_size_that_their_part_of_the_training_asks_for",
    ),
    Mutant(
        "the last batch of pretraining is smaller, and so easier", "sslcli/plans/pretraining.py",
        "seed=options.seed, drop_last=True)", "seed=options.seed, drop_last=False)",
        "test_view_making.py::test_pretraining_leaves_out_the_images_that_fill_no_batch_and_tells_views_apart",
    ),
    Mutant(
        "the temperature is ignored", SIMCLR, "(z[views.flatten()] / temperature) @ z.mT", "z[views.flatten()] @ z.mT", LOSS,
    ),
    Mutant(
        "the method has one temperature whatever is asked for", SIMCLR,
        "self.temperature = options.temperature", "self.temperature = min(options.temperature, 0.5)",
        "test_simclr.py::test_the_method_compares_at_its_own_temperature_and_by_direction_alone",
    ),
    Mutant(
        "a view is a candidate for itself", SIMCLR,
        "similarity.scatter_(1, views.reshape(-1, 1), -torch.inf)", "similarity.scatter_(1, views.reshape(-1, 1), 0.0)", LOSS,
    ),
    Mutant(
        "projections are compared by length, too", SIMCLR,
        "z = unit(self.project(representations(self.encoder, batch.views)))",
        "z = self.project(representations(self.encoder, batch.views))",
        "test_simclr.py::test_the_method_compares_at_its_own_temperature_and_by_direction_alone",
    ),
    Mutant(
        "views of neighbouring images are pairs", SIMCLR,
        "gather(view) for view in z.chunk(len(batch.views))", "gather(view) for view in (z[::2], z[1::2])",
        "test_simclr.py::test_the_method_compares_at_its_own_temperature_and_by_direction_alone",
    ),
    Mutant(
        "of a large batch the parts count as the whole", SIMCLR,
        "total = total + (some.stop - at) * loss", "total = total + loss",
        "test_simclr.py::test_a_large_batch_is_compared_in_parts_with_the_same_loss_and_gradient",
    ),
    Mutant(
        "the loss is computed in bfloat16", SIMCLR,
        "torch.autocast(z.device.type, enabled=False)", "torch.autocast(z.device.type, dtype=torch.bfloat16)",
        "test_simclr.py::test_the_loss_is_computed_in_float32_under_autocast",
    ),
    Mutant(
        "Muon without its scale", OPTIM, "max(1.0, shape[0] / shape[1:].numel()) ** 0.5", "1.0", MUON,
    ),
    Mutant(
        "Muon without Nesterov", OPTIM,
        'in torch._foreach_lerp(gradients, momenta, keep)]', 'in momenta]', MUON,
    ),
    Mutant(
        "Muon without weight decay", OPTIM,
        '_foreach_mul_(some, 1 - group["lr"] * group["weight_decay"])',
        '_foreach_mul_(some, 1 - group["lr"] * group["weight_decay"] * (not group["muon"]))', MUON,
    ),
    Mutant(
        "Muon's matrices do not decay", OPTIM,
        '{"params": rest, "weight_decay": weight_decay,', '{"params": rest, "weight_decay": 0.0,',
        "test_optim.py::test_muon_builds_with_the_weight_decay_and_momentum_that_were_asked_for",
    ),
    Mutant(
        "Muon orthogonalises with the wrong coefficients", OPTIM, "beta=-4.7750", "beta=-4.4750",
        "test_optim.py::test_orthogonalise_is_nearly_as_exact_as_literal_iterations_in_bfloat16",
    ),
    Mutant(
        "the first filters are orthogonalised", OPTIM, "p.ndim == 4 and p.shape[1] == 3]", "p.ndim == 4 and p.shape[1] == 0]",
        "test_optim.py::test_muon_flattens_filters_and_leaves_the_first_ones_and_the_norms_to_adamw",
    ),
    Mutant(
        "AdamW of Muon does not correct its first steps", OPTIM, "1 / (1 - beta1**count)", "1.0",
        "test_optim.py::test_adamw_of_muon_equals_torchs",
    ),
    Mutant(
        "biases and norms decay", OPTIM,
        '{"params": vectors, "weight_decay": 0.0, "lr_scale": 1.0}',
        '{"params": vectors, "weight_decay": weight_decay, "lr_scale": 1.0}',
        "test_optim.py::test_biases_and_norms_do_not_decay",
    ),
    Mutant(
        "the rate falls in a straight line", "sslcli/training/recipe.py",
        "lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))",
        "lr * (1 - (step - warmup) / max(1, steps - warmup))",
        "test_optim.py::test_the_rate_warms_up_linearly_and_falls_as_a_cosine",
    ),
    Mutant(
        "gradients add up over steps", LOOP, "            optimizer.zero_grad()\n", "", STEPS,
    ),
    Mutant(
        "every group has the same rate", LOOP, 'lr_at(step) * group["lr_scale"]', "lr_at(step)", STEPS,
    ),
    Mutant(
        "an epoch's loss is a sum over its steps", LOOP, 'f"train/{key}": value / steps', 'f"train/{key}": value', STEPS,
    ),
    Mutant(
        "a net stays in evaluation mode after it was measured", LOOP,
        "evaluate(epoch)}\n                module.train()", "evaluate(epoch)}",
        "test_loop.py::test_a_net_trains_in_training_mode_again_after_it_was_measured",
    ),
    Mutant(
        "dropout leaves out the same at every step", LOOP,
        'generator(seed, "model", step, rank())', 'generator(seed, "model", rank())',
        "test_loop.py::test_chance_in_a_net_differs_from_step_to_step_and_is_the_same_each_time",
    ),
    Mutant(
        "the epoch is chosen on the test images", LOOP,
        'score = (metrics["val/acc"], -metrics["val/loss"])', 'score = (metrics["test/acc"], -metrics["val/loss"])',
        "test_evaluation.py::test_a_choice_among_epochs_follows_validation_even_where_the_test_set_disagrees",
    ),
    Mutant(
        "the weights of the best epoch go on training", LOOP, "tensor.detach().clone() for", "tensor.detach() for",
        "test_evaluation.py::test_a_choice_among_epochs_follows_validation_even_where_the_test_set_disagrees",
    ),
    Mutant(
        "of epochs with equal accuracy the last is chosen", LOOP,
        'score > (self.best["metrics"]["val/acc"],', 'score[:1] >= (self.best["metrics"]["val/acc"],',
        "test_loop.py::test_of_epochs_with_equal_accuracy_the_one_with_the_lower_loss_is_chosen",
    ),
    Mutant(
        "warm-up is counted in steps", "sslcli/training/recipe.py",
        "round((recipe.warmup_epochs or 0.0) * epoch_steps)", "round(recipe.warmup_epochs or 0.0)",
        "test_loop.py::test_the_rate_warms_up_over_epochs_and_max_steps_end_it",
    ),
    Mutant(
        "--max-steps makes a short training longer", "sslcli/training/recipe.py",
        "return min(steps, recipe.max_steps or steps)", "return recipe.max_steps or steps",
        "test_loop.py::test_the_rate_warms_up_over_epochs_and_max_steps_end_it",
    ),
    Mutant(
        "the rate does not grow with the batch", "sslcli/training/recipe.py",
        "(0.06 if epochs < 400 else 0.03) * batch_size / 256", "(0.06 if epochs < 400 else 0.03)",
        "test_loop.py::test_where_no_rate_is_given_it_goes_with_the_batch_and_by_its_root_for_adam",
    ),
    Mutant(
        "--precision is ignored", "sslcli/training/device.py", 'enabled=precision == "bf16"', "enabled=bool(precision)",
        "test_loop.py::test_products_have_the_precision_that_was_asked_for",
    ),
    Mutant(
        "bfloat16 is used where it is slower", "sslcli/training/device.py",
        "bfloat16_gain(device.type) >= ENOUGH else", "bfloat16_gain(device.type) >= 0 else",
        "test_device.py::test_bfloat16_is_chosen_where_its_products_are_faster",
    ),
    Mutant(
        "a neighbour decides on the precision", "sslcli/training/device.py",
        "best[dtype] = min(best[dtype], seconds_of(partial(torch.matmul, matrix, matrix), device))",
        "best[dtype] = seconds_of(partial(torch.matmul, matrix, matrix), device)",
        "test_device.py::test_the_gain_is_the_ratio_of_the_least_times_whatever_a_neighbour_does",
    ),
    Mutant(
        "Muon computes in bfloat16 always",
        "sslcli/training/optim.py", "precision=precision, own=own", 'precision="bf16", own=own',
        "test_number_formats.py::test_muon_multiplies_in_the_precision_of_its_run",
    ),
)  # fmt: skip
