#pragma once

#include <natgrad/curvature/damping_matrix.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/damping/proximal.h>
#include <natgrad/export.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>
#include <natgrad/step_control/held_out_rate.h>
#include <natgrad/step_control/learning_rate.h>
#include <torch/optim/optimizer.h>

#include <limits>
#include <memory>

namespace torch::nn {
class Module;
}
namespace torch::jit {
struct Module;
}

namespace natgrad {

/// Options of `NaturalGradient`, in LibTorch's style. The defaults need no tuning.
///
/// `lr` and `weight_decay` belong to a parameter group: one that is given options keeps both as
/// they are there, also where they equal the defaults. The rest describes the one system that all
/// groups share, and is fixed at construction: a group that sets it differently from the
/// optimizer's own options throws.
class NATGRAD_EXPORT NaturalGradientOptions
    : public torch::optim::OptimizerCloneableOptions<NaturalGradientOptions> {
 public:
  NaturalGradientOptions() = default;
  /// With a fixed learning rate: `LearningRate()` in place of `HeldOutRate()`.
  explicit NaturalGradientOptions(double lr)
      : lr_(lr), step_rule_(std::make_shared<LearningRate>()) {}

  /// α of θ += r α δ, on top of the damping's own r; LibTorch's schedulers drive it. The default
  /// rule chooses α itself, and takes lr/0.1 of it.
  TORCH_ARG(double, lr) = 0.1;
  /// w: adds ½ w‖θ‖² over the group to the objective, its gradient and its curvature.
  TORCH_ARG(double, weight_decay) = 0;
  /// Maximises h: the steps are those on -h, with its gradient and its curvature, so h should be
  /// concave in the outputs (a log-likelihood). `summary().loss` stays h, and weight decay still
  /// shrinks.
  TORCH_ARG(bool, maximize) = false;
  /// Whether an accepted step leaves ∇h in the `.grad` of the parameters that require a gradient,
  /// as `backward()` after `zero_grad()` would (to log it, say): without weight decay and not
  /// negated by `maximize`, as in LibTorch; zero for a parameter that h does not use. A step never
  /// reads `.grad`.
  TORCH_ARG(bool, fill_grad) = false;
  /// The share of δ_prev at which an iterative solver starts, in [0, 1], where the damping has no
  /// centre of its own; Martens & Sutskever (2012, section 20.9) take 0.95. A Krylov subspace takes
  /// δ_prev in if it is not 0.
  TORCH_ARG(double, warm_start) = 0;
  /// What becomes of a loss that cannot be read: it is taken as a function of outputs that natgrad
  /// finds by itself, with `GradientRows()` where their distribution is not known (said once, with
  /// what would be better), or refused, `Unread::Throw`.
  TORCH_ARG(Unread, unread) = Unread::Substitute;
  /// How many chunks of a batch the curvature takes, from the first; 0: all. See `Batch`.
  TORCH_ARG(int64_t, curvature_chunks) = 0;
  /// n: how many examples the batch has, for the default's λ = tr(C)/n; 0: as many as the loss's
  /// graph tells (`LossGraph::distinct_examples`; `summary().examples` says what was found). With
  /// chunks, of all of them. For a loss that cannot be read it has to be said under
  /// `Unread::Throw`, unless C is made of the examples' own gradients (`EmpiricalFisher`, `Tonga`),
  /// which count themselves.
  TORCH_ARG(int64_t, examples) = 0;
  /// c > 0: where ‖∇h‖ is larger, weight decay included, the step is that on (c/‖∇h‖) ∇h, as
  /// `clip_grad_norm_` has it (a step reads no `.grad`). Not with parts that judge a step by trial
  /// losses. A damped step is proportional to what it is given, so this bounds it too.
  TORCH_ARG(double, max_gradient_norm) = std::numeric_limits<double>::infinity();
  /// c > 0: a step moves θ by no more, ‖θ_new - θ‖ ≤ c.
  TORCH_ARG(double, max_step_norm) = std::numeric_limits<double>::infinity();
  /// Whether `summary()` tells the KL divergence that a step moved (`nats`), and the share of the
  /// bound that it promised. With a closure the divergence is that of the outputs before and after,
  /// by one more forward pass (of a batch in K chunks 2K - 1); step(loss) can tell ½ δᵀFδ, by one
  /// product with J. The steps stay as they are.
  TORCH_ARG(bool, measure) = false;
  /// Of the random probes; two optimizers with the same seed, loss and start take the same steps.
  TORCH_ARG(uint64_t, seed) = 0;
  /// The module whose buffers (BatchNorm statistics) and train/eval modes a failed step puts back
  /// too, and trial losses leave as they were. Without one, trial losses spare the statistics of
  /// batch normalisation that are found in the loss's graph, and nothing else.
  TORCH_ARG(std::shared_ptr<torch::nn::Module>, module) = nullptr;

 public:
  /// The same of a scripted module, in place of `module` or beside it.
  NaturalGradientOptions& module(const torch::jit::Module& module);
  /// Null if there is none.
  const std::shared_ptr<torch::jit::Module>& scripted_module() const { return scripted_module_; }

  /// `ScoreRowsOrFisher()` (the default), `FisherOrGaussNewton()`, or any other `Curvature`.
  NaturalGradientOptions& curvature(const Curvature& curvature);
  /// What was chosen.
  const Curvature& curvature() const { return *curvature_; }
  /// By default `DualOrConjugateGradient()`: exactly where that is cheap, else by conjugate
  /// gradients: 10 iterations to a tolerance of 1e-2, and at least 100 to 1e-4 on the rows of
  /// `ScoreRows()` and `GradientRows()`.
  NaturalGradientOptions& solver(const Solver& solver);
  /// What was chosen.
  const Solver& solver() const { return *solver_; }
  /// `Proximal()` (the default), `Tikhonov(λ)`, `LevenbergMarquardt()`, `Nielsen()`,
  /// `TrustRegion()`.
  NaturalGradientOptions& damping(const Damping& damping);
  /// What was chosen.
  const Damping& damping() const { return *damping_; }
  /// D of C + λD, positive definite: `MarquardtDiagonal()`, `StructuralDamping(μ)`, or the
  /// matrix of any curvature of the kind; without one D = I.
  NaturalGradientOptions& damping_matrix(const DampingMatrix& matrix);
  /// The matrix of this curvature.
  NaturalGradientOptions& damping_matrix(const Curvature& of) {
    return damping_matrix(CurvatureMatrix(of));
  }
  /// Null if D = I.
  const DampingMatrix* damping_matrix() const { return damping_matrix_.get(); }
  /// `FisherDiagonal()`, `PropagatedDiagonal()`, `LowRank()`, `KroneckerFactored()`; none by
  /// default.
  NaturalGradientOptions& preconditioner(const Preconditioner& preconditioner);
  /// Null if there is none.
  const Preconditioner* preconditioner() const { return preconditioner_.get(); }
  /// `HeldOutRate()` (the default, without an `lr`), `LearningRate()`, `InverseTime(c)`,
  /// `AdaptiveRate()`, `KLConstrained(c)`, `QuadraticModelStep()`, `LineSearch()`,
  /// `GeodesicAcceleration()`, `SubspaceMinimisation()`.
  NaturalGradientOptions& step_rule(const StepRule& rule);
  /// What was chosen.
  const StepRule& step_rule() const { return *step_rule_; }

  /// Throws `c10::Error` for the first value that is out of range.
  void check() const;
  /// Throws `c10::Error`, saying why, if the parts make no sense together.
  void check_combination(bool any_group_decays) const;
  /// What groups share, as text.
  std::string describe_system() const;
  /// Whether everything that groups share is the same.
  bool same_system(const NaturalGradientOptions& other) const;

  /// As LibTorch's schedulers read it.
  double get_lr() const override { return lr_; }
  /// As LibTorch's schedulers set it.
  void set_lr(double lr) override { lr_ = lr; }

 private:
  std::shared_ptr<torch::jit::Module> scripted_module_;
  std::shared_ptr<const Curvature> curvature_ = std::make_shared<ScoreRowsOrFisher>();
  std::shared_ptr<const Solver> solver_ = std::make_shared<DualOrConjugateGradient>();
  std::shared_ptr<const Damping> damping_ = std::make_shared<Proximal>();
  std::shared_ptr<const DampingMatrix> damping_matrix_;
  std::shared_ptr<const Preconditioner> preconditioner_;
  std::shared_ptr<const StepRule> step_rule_ = std::make_shared<HeldOutRate>();
};

}  // namespace natgrad
