#pragma once

#include <natgrad/export.h>
#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>

#include <memory>
#include <optional>
#include <string>

namespace natgrad {

/// Drives the `lr` of an optimizer's groups from one period (an epoch, say) to the next. It refers
/// to the optimizer, which has to outlive it.
///
/// A run that is resumed saves and loads it beside the optimizer, in either order:
/// `torch::save(*schedule, "run.schedule")`, `torch::load(*schedule, "run.schedule")`.
class NATGRAD_EXPORT Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// Ends a period. `metric`, a held-out loss, say: throws `c10::Error` where the schedule goes by
  /// it and there is none.
  virtual void step(std::optional<double> metric = std::nullopt) = 0;
  /// How far it is, the rates it began with, and what it knows of the metric.
  virtual void save(torch::serialize::OutputArchive& archive) const = 0;
  /// Goes on from there: sets the groups' rates to those of that period. Throws `c10::Error`, with
  /// nothing changed, if the archive is none of a schedule of this kind for as many groups.
  virtual void load(torch::serialize::InputArchive& archive) = 0;
};

/// For `torch::save` and `torch::load`.
NATGRAD_EXPORT torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive,
                                                           const Scheduler& scheduler);
/// The same.
NATGRAD_EXPORT torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive,
                                                          Scheduler& scheduler);

/// The schedule that a configuration names. With lr₀ a group's rate when the schedule is made, and
/// t the periods that have ended, the rate is lr₀ times
///
///     {"type": "constant"}                                    1
///     {"type": "step", "step_size": 30, "gamma": 0.1}         γ^⌊t/30⌋
///     {"type": "multistep", "milestones": [30, 80]}           γ^(milestones ≤ t)
///     {"type": "exponential", "gamma": 0.95}                  γᵗ
///     {"type": "polynomial", "periods": 100, "power": 1}      (1 - t/100)^power, 0 from then on
///     {"type": "cosine", "periods": 100, "least": 0.01}       least + (1 - least)(1 + cos
///     πt/100)/2
///     {"type": "reduce_on_plateau", "factor": 0.1, "patience": 10}    as PyTorch's, by a metric
///
/// γ of the second and third is 0.1 where it is left out, the power 1, the least share 0. With
/// "warmup": n, of all but the last, the rate of the first n periods, which have to be fewer than
/// "periods", is (t + 1)/(n + 1) of that. The factors are of LibTorch's
/// `StepLR` and of PyTorch's schedulers of these names; "reduce_on_plateau" also takes "mode"
/// ("min", "max"), "threshold" (1e-4 of the best) and "cooldown".
///
/// Under natgrad's default rule the rate counts in units of 0.1 (`NaturalGradientOptions::lr`).
///
/// Throws `c10::Error` as `make_optimizer` does.
NATGRAD_EXPORT std::unique_ptr<Scheduler> make_scheduler(torch::optim::Optimizer& optimizer,
                                                         const std::string& json);

}  // namespace natgrad
