"""Wrong versions of what images and labels are: splits, duplicates, folders, batches, augmentation."""

from tests.mutants.mutant import Mutant

SPLIT, IMAGES = "sslcli/data/split.py", "sslcli/data/image_data.py"
BATCHES, AUGMENT = "sslcli/data/batches.py", "sslcli/data/augment.py"
DATA, VIEWS = "test_data.py::", "test_augment.py::"

MUTANTS = (
    Mutant(
        "the training part holds the validation images, too", SPLIT,
        "of_val, of_train = members[:held_out], members[held_out:]", "of_val, of_train = members[:held_out], members",
        DATA + "test_the_split_is_stratified_disjoint_and_by_seed",
    ),
    Mutant(
        "every seed has the same split", SPLIT, 'generator=generator(seed, "split")', 'generator=generator(0, "split")',
        DATA + "test_the_split_is_stratified_disjoint_and_by_seed",
    ),
    Mutant(
        "who has few labels chooses by all of them", SPLIT,
        "of_val[: _some(len(of_val), label_fraction)]", "of_val",
        DATA + "test_label_fractions_are_nested_stratified_and_hold_for_choices_too",
    ),
    Mutant(
        "images without a label are a class", SPLIT,
        "for label in torch.unique(labels[labels != UNLABELLED]):", "for label in torch.unique(labels):",
        DATA + "test_images_without_a_label_are_in_no_part",
    ),
    Mutant(
        "the given validation images train", SPLIT,
        "of_val, of_train = members[given[members]], members[~given[members]]",
        "of_val, of_train = members[~given[members]], members[given[members]]",
        DATA + "test_where_the_data_say_which_images_choose_those_do",
    ),
    Mutant(
        "normalisation looks at the test images", IMAGES,
        "for some in in_parts(self.train_images, 10_000):", "for some in (self.train_images[:], self.test_images[:]):",
        DATA + "test_normalisation_does_not_look_at_the_test_images",
    ),
    Mutant(
        "the upper left corner is shown for the centre", IMAGES,
        "top, left = ((length - side) // 2 for length in images.shape[-2:])",
        "top, left = (int(length > side) for length in images.shape[-2:])",
        DATA + "test_the_centre_of_an_image_is_what_is_shown",
    ),
    Mutant(
        "every epoch has the same order", BATCHES,
        'generator(seed, "order", epoch)', 'generator(seed, "order")',
        DATA + "test_an_epoch_passes_every_image_once_in_an_order_of_its_own",
    ),
    Mutant(
        "a batch depends on what was drawn before it", BATCHES,
        "return torch.Generator().manual_seed(int.from_bytes(digest[:7], \"big\"))",
        "return torch.Generator().manual_seed(int(torch.randint(2**31, ())) if digest else 0)",
        "test_view_making.py::test_every_step_has_views_of_its_own_and_always_the_same",
    ),
    Mutant(
        "a single image that is left over is lost", BATCHES,
        "(position + 1) * self.batch_size + self.joined * last", "(position + 1) * self.batch_size",
        DATA + "test_a_single_image_that_is_left_over_joins_the_batch_before_it",
    ),
    Mutant(
        "a checksum is not looked at", "sslcli/data/sets/fetching.py",
        "if not check_integrity(str(folder / name), md5)]", "if not (folder / name).exists()]",
        DATA + "test_a_truncated_batch_file_is_named_before_it_is_opened",
    ),
    Mutant(
        "red and blue are exchanged where pictures are decoded", "sslcli/data/sets/torchvision_sets.py",
        "return images.permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in files])",
        "return images.permute(0, 3, 1, 2).flip(1).contiguous(), torch.tensor([label for _, label in files])",
        "test_sets.py::test_every_pixel_and_label_is_where_it_was",
    ),
    Mutant(
        "the classes of a folder are numbered from the last", "sslcli/data/folder/reading.py",
        "label_of = {name: label for label, name in enumerate(classes)}",
        "label_of = {name: label for label, name in enumerate(classes[::-1])}",
        "test_folder.py::test_cifar10_written_out_as_pictures_is_the_same_data_set",
    ),
    Mutant(
        "a folder is normalised by its test pictures, too", "sslcli/data/folder/reading.py",
        "found.moments[places[train].numpy()].mean(0)", "found.moments[places.numpy()].mean(0)",
        "test_folder.py::test_cifar10_written_out_as_pictures_is_the_same_data_set",
    ),
    Mutant(
        "copies of a test picture train under another class", "sslcli/data/folder/partition.py",
        'replace(e, part="test" if d in tested else e.part) for',
        'replace(e, part="test" if d in tested and e.label else e.part) for',
        "test_folder.py::test_all_copies_of_a_test_picture_are_tested_whatever_their_class_and_val_is_the_test_where_there_is_none",
    ),
    Mutant(
        "near duplicates are those from 0.3 on", "sslcli/data/duplicates.py", "THRESHOLD = 0.80", "THRESHOLD = 0.30",
        "test_data_check.py::test_pictures_that_are_alike_by_less_than_the_threshold_are_no_duplicates",
    ),
    Mutant(
        "a picture and its mirror image are never compared", "sslcli/data/duplicates.py",
        "enumerate((e + o, e - o))", "enumerate((e + o,))",
        "test_data_check.py::test_every_planted_duplicate_is_found_and_no_other_pair",
    ),
    Mutant(
        "equal pictures are told by their first bytes", "sslcli/data/duplicates.py",
        "image.numpy().tobytes()).digest()", "image.numpy().tobytes()[:8]).digest()",
        "test_data_check.py::test_pictures_that_differ_in_one_pixel_are_not_the_same_bytes",
    ),
    Mutant(
        "a crop reads beyond its edge", AUGMENT,
        "weight = weight * ((source >= 0) & (source < length[:, None, None]))", "weight = weight * (source > -pixels)",
        VIEWS + "test_crop_and_resize_equal_torchvision",
    ),
    Mutant(
        "no view is mirrored", AUGMENT, "columns.flip(1), columns)", "columns, columns)",
        VIEWS + "test_flip_equals_torchvision",
    ),
    Mutant(
        "every image is jittered", AUGMENT, "jittered = chance(a.jitter)", "jittered = chance(1.0)",
        VIEWS + "test_probabilities_are_kept",
    ),
    Mutant(
        "crops are too square", AUGMENT, "torch.exp(uniform(-math.log(a.aspect), math.log(a.aspect), count, TRIES))",
        "torch.ones(count, TRIES) + 0 * uniform(0, 1, count, TRIES)", VIEWS + "test_crops_are_distributed_as_torchvisions",
    ),
    Mutant(
        "hue turns by twice the angle", AUGMENT, "(hue[:, None] + 6 * turns)) % 6", "(hue[:, None] + 12 * turns)) % 6",
        VIEWS + "test_colour_operation_equals_torchvision",
    ),
)  # fmt: skip
