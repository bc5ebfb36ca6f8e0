"""The commands that are about models without an audit, in the order of the help."""

from robust.commands.attack_model import attack_command
from robust.commands.compare_models import compare_command
from robust.commands.fuzz_model import fuzz_command
from robust.commands.model_cost import cost_command
from robust.commands.model_metrics import metrics_command
from robust.commands.quantize_model import quantize_command

MODEL_COMMANDS = (attack_command, compare_command, cost_command, fuzz_command, metrics_command, quantize_command)
