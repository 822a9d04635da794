"""Wrong versions of encoders and classifiers: seeds, stems, batch norm, products, others' weights."""

from tests.mutants.mutant import Mutant, in_file

ENCODER, VIT = "sslcli/models/encoder.py", "sslcli/models/backbones/vit.py"

MUTANTS = (
    Mutant(
        "every seed gives what was drawn before", ENCODER,
        "        torch.manual_seed(seed)\n", "        assert seed is not None\n",
        "test_encoder.py::test_the_same_seed_gives_the_same_encoder_whatever_was_drawn_before",
    ),
    Mutant(
        "images of 96 pixels get the stem of small ones", "sslcli/models/__init__.py",
        "if image_size >= 96", "if image_size > 96", "test_encoder.py::test_small_images_get_the_stem_that_keeps_them_large",
    ),
    Mutant(
        "the strides of two stems are exchanged", "sslcli/models/backbones/torchvision_nets.py",
        '{"conv3": (1, 1), "conv3-s2": (2, 1)', '{"conv3": (2, 1), "conv3-s2": (1, 1)',
        "test_encoder.py::test_a_stem_halves_the_image_as_often_as_its_name_says",
    ),
    *in_file(
        "sslcli/models/backbones/resnet9.py",
        ("the residual block has no way around it", "x + self.residual(x)", "self.residual(x)"),
        ("ResNet-9 pools by the mean alone", "if self.apart else mean + most", "if self.apart else mean + mean"),
        tests="test_encoder.py::test_resnet9_is_what_its_text_says",
    ),
    *in_file(
        "sslcli/models/classifier.py",
        ("logits are rounded to bfloat16",
         "with torch.autocast(h.device.type, enabled=False):", "with torch.autocast(h.device.type, dtype=torch.bfloat16):",
         "test_encoder.py::test_close_logits_stay_apart_where_the_encoder_computes_in_bfloat16"),
        ("folding forgets the deviation in the bias",
         "self.head.weight @ (mean / std)", "self.head.weight @ mean",
         "test_evaluation.py::test_folding_the_standardisation_changes_no_logit"),
    ),
    *in_file(
        VIT,
        ("a transformer's representation is its first patch",
         "return self.tokens(x)[:, 0]", "return self.tokens(x)[:, 1]",
         "test_models.py::test_a_vision_transformer_is_torchvisions_at_the_size_that_it_is_made_for"),
        ("the positions of patches are read by columns",
         "torch.cat([known[:, :1], resized.flatten(2).mT], 1)", "torch.cat([known[:, :1], resized.mT.flatten(2).mT], 1)",
         "test_models.py::test_the_positions_of_a_vision_transformer_are_resized_and_pixels_that_fill_no_patch_left_out"),
    ),
    Mutant(
        "small convolutions mirror their filters", "sslcli/models/convolution.py",
        "taps[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width]",
        "taps.flip(1)[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width]",
        "test_convolution.py::test_products_give_the_convolution_and_its_gradients",
    ),
    Mutant(
        "of others' weights the moving average is taken", "sslcli/models/weights.py",
        "(sum(word in found.prefix for word in AVERAGED), len(found.prefix))",
        "(-sum(word in found.prefix for word in AVERAGED), len(found.prefix))",
        "test_foreign_weights.py::test_the_weights_of_every_program_are_the_ones_it_wrote",
    ),
    Mutant(
        "batch norm of several processes counts each part alike", "sslcli/models/batch_norm.py",
        "mean = (counts * means).sum(0) / count", "mean = means.mean(0)",
        "test_distributed.py::test_batch_norm_over_unequal_parts_equals_torchs_over_the_whole",
    ),
    Mutant(
        "no gradient goes through the gathering", "sslcli/distributed.py",
        "        return total(gradient)\n", "        return torch.zeros_like(gradient)\n",
        "test_distributed.py::test_gathering_keeps_the_order_and_sums_the_gradients",
    ),
)  # fmt: skip
