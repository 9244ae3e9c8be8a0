#pragma once

#include <natgrad/export.h>
#include <natgrad/optim/batch.h>
#include <natgrad/optim/options.h>
#include <natgrad/optim/step_summary.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace natgrad {

class CheckpointModel;
class NaturalGradient;
NATGRAD_EXPORT std::map<std::string, torch::Tensor> load_checkpoint(const CheckpointModel& model,
                                                                    NaturalGradient& optimizer,
                                                                    const std::string& path);

/// The natural-gradient optimizer (Amari 1998; Martens, "New perspectives on the natural gradient
/// method"): on each batch it solves the damped system, exactly or by conjugate gradients, and
/// moves along the solution,
///
///     (C + λI) δ = -∇h + λ μ δ_prev,   θ ← θ + r α δ,
///
/// where C has one row an example where each is one observation, and is the batch's Fisher or
/// Gauss-Newton matrix else (score_rows_or_fisher.h), ∇h and C come from the same batch (section
/// 11), and λ is that batch's own noise; μ → 1 slowly (proximal.h), so that the batches' noise is
/// averaged away, and α is chosen by what each batch says of the steps before it, with r = 1
/// (held_out_rate.h). Every part of it is an option, and
/// `natgrad::presets` has sets of them that belong together (presets.h).
///
/// ```cpp
/// natgrad::NaturalGradient optimizer(model->parameters());
/// optimizer.step(F::cross_entropy(model->forward(x), y));
/// ```
///
/// The likelihood is read off the loss's graph (loss_graph.h). `backward()` is not called, and
/// `.grad` stays as it is, unless the option `fill_grad` asks for it.
///
/// Which parameters require a gradient is read at each step: δ_prev is kept for those that took
/// part in the step before, and zero for the others. A new group makes all of it zero.
///
/// Cost of a step by rows: one backward pass, RRᵀ of [N, N] and its factors, and three products R v
/// or Rᵀu. With the exact matrix: one backward pass for ∇h, one for the noise, one differentiable
/// one, and with each CG iteration about one forward and one backward pass. Memory: three vectors
/// of [P] between steps, some five to seven more within, besides the graph.
///
/// Programmer errors throw `c10::Error`; numerical outcomes are values in `summary()`, and the
/// first solve that fails or meets negative curvature is also a LibTorch warning. After an error,
/// or a step that was not accepted, parameters, gradients, flags and generators are as before the
/// call, and so is the optimizer's state; except that
///
/// - a loss that is not finite after an accepted step takes that step back (not if the loss is NaN
///   on finite outputs: then the targets are at fault, as when all are ignored);
/// - a damping that judges steps (Levenberg and Marquardt's, a trust region) is told of a step that
///   failed, and is stronger after most (what was `Rejected` may have had a good ρ);
/// - after `Rejected` and `DampingExhausted` δ_prev is forgotten, since the same step would fail
///   again: the next one starts from zero. The step before can still be taken back.
///
/// As LibTorch's optimizers it can be moved, between steps, and not copied: for a copy, construct
/// another with the same options and load what this one saved. One that was moved from has no
/// parameters, and throws if it is used; a scheduler keeps referring to it, so make that
/// afterwards.
class NATGRAD_EXPORT NaturalGradient : public torch::optim::Optimizer {
 public:
  /// With options by group, and those of the whole. Throws `c10::Error` for options out of range,
  /// parts that make no sense together, and parameters that cannot be optimized.
  explicit NaturalGradient(const std::vector<torch::optim::OptimizerParamGroup>& groups,
                           NaturalGradientOptions defaults = {});
  /// The same of a single group.
  explicit NaturalGradient(std::vector<torch::Tensor> parameters,
                           NaturalGradientOptions defaults = {});
  /// Between steps alone.
  NaturalGradient(NaturalGradient&&) noexcept;
  /// Between steps alone.
  NaturalGradient& operator=(NaturalGradient&&) noexcept;
  ~NaturalGradient() override;

  /// One step on the loss of this batch; its graph must still be there. Returns the loss.
  torch::Tensor step(const torch::Tensor& loss);
  /// The same, on the loss that `closure` returns; it is called once, with gradients enabled.
  /// Should it throw, everything it changed (parameters, gradients, flags, default generators, and
  /// what the option `module` names) is put back and the exception passes through.
  ///
  /// Parts that judge a step by trial losses (a line search, Levenberg and Marquardt's ρ) call it
  /// again, at other parameters: it has to use the same data each time, and may skip `backward()`.
  torch::Tensor step(LossClosure closure = nullptr) override;
  /// The same on a batch that is given in chunks, at the memory of at most two of them: h is the
  /// mean of what closure(k) returns for k < chunks (see `Batch`).
  torch::Tensor step(int64_t chunks, Batch::Loss closure);
  /// The same with batches of their own for the gradient, the curvature and trial losses.
  torch::Tensor step(const Batches& batches);

  /// `torch::save` and `torch::load` continue to the bit: the previous step, what damping,
  /// preconditioner and step rule have learnt, the number of steps and each group's lr and
  /// weight_decay, which override the present ones. The model and LibTorch's generators are not in
  /// it, as they are in a whole checkpoint (checkpoint.h); load the model first.
  ///
  /// All other options (the parts themselves, seed, maximize, fill_grad, module) are not saved:
  /// construct the optimizer as it was. Loading throws `c10::Error`, with nothing changed, for
  /// another optimizer's or model's archive, by shapes, dtype and groups, or where a part has other
  /// settings; and both from within a step's closure.
  void save(torch::serialize::OutputArchive& archive) const override;
  /// Takes up what `save` wrote.
  void load(torch::serialize::InputArchive& archive) override;

  /// The report of the last step.
  const StepSummary& summary() const;

  /// Adds a group with options of its own; hides the base's, which would replace them by the
  /// defaults. Added through `torch::optim::Optimizer&`, a group gets the optimizer's default
  /// options.
  void add_param_group(const torch::optim::OptimizerParamGroup& group);

 private:
  class Impl;

  Impl& impl();
  const Impl& impl() const;
  torch::Tensor attempt(const Batches& batches, bool can_try);
  std::vector<torch::Tensor> all_parameters() const;
  std::unique_ptr<NaturalGradientOptions> options_for(
      const torch::optim::OptimizerParamGroup& given) const;
  void check_groups();
  void check_new_parameters();
  void check_archive(torch::serialize::InputArchive& archive) const;
  std::function<void()> prepare_to_load(torch::serialize::InputArchive& archive);
  friend std::map<std::string, torch::Tensor> load_checkpoint(const CheckpointModel& model,
                                                              NaturalGradient& optimizer,
                                                              const std::string& path);

  std::unique_ptr<Impl> impl_;
};

}  // namespace natgrad
