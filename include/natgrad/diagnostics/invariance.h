#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/export.h>
#include <natgrad/optim/options.h>
#include <natgrad/optim/step_summary.h>
#include <torch/arg.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace natgrad {

/// What `invariance_check` follows.
class NATGRAD_EXPORT InvarianceOptions {
 public:
  /// T of the path dθ/dt = -C⁻¹∇h, 0 ≤ t ≤ T. 0: the first of 1, ½, ¼, ... for which the coarsest
  /// of Euler's steps end within a twentieth of the way of where the next finer ones do, in θ and
  /// in γ: a nearly singular C makes ways that are wild, and tell nothing in steps that do not
  /// follow them.
  TORCH_ARG(double, time) = 0;
  /// The numbers of Euler's steps into which T is cut, ε = T/steps, fewest first; two at least.
  TORCH_ARG(std::vector<int64_t>, steps) = {10, 20, 40};
  /// Eigenvalues of C of no more than this share of the largest count as zero, in (0, 1): where C
  /// is singular the least of its directions is taken.
  TORCH_ARG(double, cutoff) = 1e-10;

 public:
  InvarianceOptions();
  /// C; `FisherOrGaussNewton()` by default. The plain gradient is that of `ParameterScales()`, C =
  /// I; Newton's method is `Hessian()`; a matrix of one's own is a `Metric` of `pulled_back`.
  InvarianceOptions& curvature(const Curvature& curvature);
  /// The one that was named.
  const Curvature& curvature() const { return *curvature_; }
  /// Throws `c10::ValueError` for the first value that is out of range.
  void check() const;

 private:
  std::shared_ptr<const Curvature> curvature_;
};

/// How far apart the ways in θ and in γ are.
struct NATGRAD_EXPORT InvarianceReport {
  /// The ends of two ways in steps of one ε.
  struct Row {
    double epsilon = 0;  ///< T/steps
    /// Between the ends, as a share of the way from the start: ‖Δz‖/‖z_T - z_0‖ in the norm of F_R,
    /// the mean over examples, where the distribution of the outputs is known; else as
    /// `parameters`.
    double difference = 0;
    /// ‖g(γ_T) - θ_T‖/‖θ_T - θ_0‖.
    double parameters = 0;
  };
  std::string curvature;          ///< as it describes itself
  std::string reparametrisation;  ///< as it describes itself
  std::vector<Row> rows;          ///< one for each ε, the largest first
  /// Of difference ∝ ε^order, fitted; NaN where it is no more than rounding.
  double order = 0;
  /// ‖∇_γh - J_gᵀ∇_θh‖/‖∇_γh‖, which vanishes for any h: the gradient is covariant.
  double gradient_change = 0;
  /// ‖(C_γ - J_gᵀC_θJ_g) v‖/‖J_gᵀC_θJ_g v‖, the largest of three random v: eq. 9.
  double matrix_change = 0;
  int64_t rank = 0;         ///< of C_θ at the start
  int64_t size = 0;         ///< P
  double condition = 0;     ///< of C_θ there, on its range
  double time = 0;          ///< T
  bool is_affine = false;   ///< whether g is
  bool by_outputs = false;  ///< whether differences are those of distributions
  /// Whether all differences are no more than rounding: 1e-6 in double, 1e-3 in float32.
  bool exact = false;
  /// The claim: differences of O(ε) (an order of at least 0.7, and falling), or exact; for affine g
  /// exact.
  bool holds = false;

  /// The verdict and the table, in lines of text.
  std::string message() const;
};

/// Whether a method's way through the model's distributions depends on the parameters that the
/// model is written in (Martens, "New perspectives", section 10): the same method, δ = -C⁻¹∇h in
/// Euler's steps of ε, is run in θ and in γ with θ = g(γ), both by autograd, and compared.
///
/// ```cpp
/// const auto report = natgrad::invariance_check(
///     model->parameters(), [&] { return loss_of(x, y); }, natgrad::Elementwise::sinh());
/// const auto verdict = report.message();
/// ```
///
/// For the generalized Gauss-Newton, Fisher, empirical Fisher and any pulled-back matrix the ways
/// differ by O(ε), and not at all where g is affine, since C_γ = J_gᵀC_θJ_g. For the plain gradient
/// they stay apart; for Newton's method too, unless g is affine. What a solver and damping do to it
/// tells `invariance_of_steps`.
///
/// Where C is singular, -C⁻¹∇h is what lies in its range, which depends on the parameters, but what
/// it does to the distributions does not if C is singular only because parameters are redundant
/// (one number added to all logits): so ends are compared by their distributions where these are
/// known. With fewer examples than parameters it may fail: `rank` tells.
///
/// `parameters` are all that the closure's model trains; they, their `.grad`s and LibTorch's
/// generators are afterwards as before. The closure answers the same each time (a model with batch
/// normalisation in eval mode). Penalties have to be marked (`natgrad::penalty`), and are part of
/// ∇h alone.
///
/// C is formed and diagonalised at each step: 2·Σ steps evaluations of the loss, with P products
/// and P³ operations each, for P of at most 2048. Throws `c10::ValueError` for options out of
/// range, a g whose Jacobian is singular at θ, a closure that changes, or a gradient of zero.
NATGRAD_EXPORT InvarianceReport invariance_check(const std::vector<torch::Tensor>& parameters,
                                                 const std::function<torch::Tensor()>& loss,
                                                 const Reparametrisation& g,
                                                 const InvarianceOptions& options = {});

/// What one optimizer makes of θ and of γ.
struct NATGRAD_EXPORT StepInvariance {
  /// ‖g(γ_k) - θ_k‖/‖θ_k - θ_0‖ after k steps; infinite where one of the two did not move.
  double difference = 0;
  StepSummary in_theta;           ///< of the last step in θ
  StepSummary in_gamma;           ///< of the last step in γ
  std::string reparametrisation;  ///< as it describes itself

  /// The difference, and what the optimizer said in both.
  std::string message() const;
};

/// The same for steps of the optimizer itself, with any solver, damping, preconditioner and step
/// rule, for any P. Exact for affine g under `Tikhonov(0)` with a tight solver; λI keeps orthogonal
/// maps only, Marquardt's λ diag(C) keeps rescalings of single parameters, conjugate gradients that
/// stop early, or with a preconditioner that is not invariant itself, keep none. For g that is not
/// affine an O(ε²) a step belongs to g itself.
///
/// In both the parameters are one flat tensor behind g, or behind nothing, so that the two runs
/// differ by g alone: layers are not seen, and the default takes the exact matrix where it would
/// have taken score rows. Throws as `invariance_check` does, and for parts that ask for gradients
/// at trial points.
NATGRAD_EXPORT StepInvariance invariance_of_steps(const std::vector<torch::Tensor>& parameters,
                                                  const std::function<torch::Tensor()>& loss,
                                                  const Reparametrisation& g,
                                                  const NaturalGradientOptions& options,
                                                  int64_t steps = 1);

}  // namespace natgrad
