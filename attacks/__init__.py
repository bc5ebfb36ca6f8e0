"""Attacks: how small a change breaks a model, under the user's own rules."""

from robust.facade import lazy_names

__all__ = [
    "APGD",
    "BIM",
    "DDN",
    "FGSM",
    "FMN",
    "PGD",
    "Boundary",
    "DeepFool",
    "HopSkipJump",
    "LinearExact",
    "RandomNoise",
    "RandomSearch",
    "Square",
    "Transfer",
    "TreeAttack",
    "attacked_rows",
    "fuzz",
    "minimal_perturbation",
    "robust_accuracy",
    "robustness_curve",
    "with_gradients",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "APGD": "robust.attacks.apgd",
        "BIM": "robust.attacks.bim",
        "Boundary": "robust.attacks.boundary",
        "DDN": "robust.attacks.ddn",
        "DeepFool": "robust.attacks.deepfool",
        "FGSM": "robust.attacks.fgsm",
        "FMN": "robust.attacks.fmn",
        "HopSkipJump": "robust.attacks.hop_skip_jump",
        "LinearExact": "robust.attacks.linear_exact",
        "PGD": "robust.attacks.pgd",
        "RandomNoise": "robust.attacks.noise",
        "RandomSearch": "robust.attacks.random_search",
        "Square": "robust.attacks.square",
        "Transfer": "robust.attacks.transfer",
        "TreeAttack": "robust.attacks.tree_attack",
        "attacked_rows": "robust.attacks.adversarial_examples",
        "fuzz": "robust.fuzzing.random_attack",
        "minimal_perturbation": "robust.attacks.minimal_rows",
        "robust_accuracy": "robust.attacks.accuracy_under_attack",
        "robustness_curve": "robust.attacks.accuracy_curve",
        "with_gradients": "robust.attacks.onnx_gradients",
    },
)
