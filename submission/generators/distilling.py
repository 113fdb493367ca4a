"""`distilling`: prototypes as those of `distilled`, learned while the clock runs, from the training images alone.

Networks of the judge's kind are trained, shown the real images and then the prototypes, which are moved until they look
as the real ones do (`submission.distillation.learn`). The faster the device, the more networks and steps fit.
"""

from __future__ import annotations

from dataclasses import replace

from evaluation.base.challenge import Challenge
from submission.contract.generator import GeneratorInfo, LoadContext
from submission.contract.settings import integer, number
from submission.distillation.learn import learn
from submission.distillation.recipe import RECIPES, Recipe
from submission.generators.distilled import MIX, PrototypeRounds

LEARNING = number("learning", 0.85, 0.05, 0.95, "fraction of the time that is left in which to learn")
NETWORKS = integer("networks", 0, 0, 100, "networks to learn from, at all ages of the recipe; 0 for what fits")
UPDATES = integer("updates", 0, 0, 1_000_000, "steps of learning, whatever they take; 0 for what fits")
PROTOTYPES = integer("prototypes", 0, 0, 1000, "prototypes of a class; 0 for those of the data set's recipe")


class Distilling(PrototypeRounds):
    """Learned in `load`, on the clock."""

    info = GeneratorInfo(
        name="distilling",
        summary="prototypes of each class as those of distilled, learned while the clock runs; no weights",
        default_batch=1000,
        needs_training_images=True,
        parts=True,
        settings=(LEARNING, NETWORKS, UPDATES, PROTOTYPES, MIX),
        useful_ipc={name: recipe.prototypes for name, recipe in RECIPES.items()},  # once each
    )

    @classmethod
    def load(cls, context: LoadContext) -> Distilling:
        settings, challenge = cls.resolve_settings(context.settings), context.challenge
        networks, updates = settings[NETWORKS], settings[UPDATES]
        recipe = recipe_for(challenge, settings[PROTOTYPES], networks, updates)
        levels_CK3HW, steps = learn(
            context.read_training_images(),
            challenge,
            recipe,
            context.seed,
            context.device,
            settings[LEARNING] * context.seconds_left,
            all_networks=networks > 0,
            all_steps=updates > 0,
        )
        print(f"learned {recipe.prototypes} prototypes a class in {steps:,} steps", flush=True)
        return cls(levels_CK3HW, settings[MIX], recipe.mirrored)


def recipe_for(challenge: Challenge, prototypes: int, networks: int, updates: int) -> Recipe:
    """The data set's recipe with so many prototypes of a class, networks and steps; 0 for its own."""
    usual = RECIPES[challenge.name]
    prototypes = prototypes or usual.prototypes
    return replace(
        usual,
        prototypes=prototypes,
        networks=networks or usual.networks,
        groups=min(usual.groups, prototypes),
        steps=updates or usual.steps,
        stored_steps=0,
    )
