#pragma once

#include <natgrad/export.h>
#include <natgrad/variational/expectations.h>
#include <torch/arg.h>

#include <string>

namespace natgrad {

/// The parameters in which a step is straight.
enum class VariationalForm {
  Natural,     ///< λ₁ = μ/σ², λ₂ = -1/(2σ²)
  MeanLogStd,  ///< μ, log σ
  Retracted    ///< natural, to second order in ε: for few samples, precisions stay positive
};

/// Options of `NaturalGradientVI`.
struct NATGRAD_EXPORT NaturalGradientVIOptions {
  /// ε in (0, 1] for the natural forms, > 0 for the other.
  TORCH_ARG(double, rate) = 0.1;
  /// In which parameters a step is straight.
  TORCH_ARG(VariationalForm, form) = VariationalForm::Natural;
  /// k, the pairs of samples in a step; 0: the cubature.
  TORCH_ARG(int64_t, pairs) = 0;
  /// Of the samples.
  TORCH_ARG(uint64_t, seed) = 0;
  /// T > 0: of `Retracted` with samples, after T/ε steps precisions remember twice as much;
  /// infinity: always the same.
  TORCH_ARG(double, memory_doubling) = 2;
};

/// What became of a step; of the last two q is as it was.
enum class VariationalOutcome {
  Accepted,
  InvalidPrecision,  ///< some precision would not be positive
  NonFinite          ///< the log-joint, its gradient or the new q is not finite
};

/// The report of one step.
struct NATGRAD_EXPORT VariationalSummary {
  /// What became of q.
  VariationalOutcome outcome = VariationalOutcome::Accepted;
  double expected_log_joint = 0;  ///< E_q[log p] of the q that the step started from
  double elbo = 0;                ///< E_q[log p] - E_q[log q] of the same
  int64_t coordinate = -1;        ///< the first one with an invalid precision
  /// Every ε below it leaves all precisions positive; natural form only.
  double largest_rate = 0;
  /// The share of its way that μ went; less than 1 only where `Retracted` was too far. Of
  /// `DiscreteVI`, that θ went.
  double shortening = 1;
  /// One line that says what happened, and what to do if anything.
  std::string message() const;
};

/// Natural-gradient variational inference with a mean-field Gaussian q on a log-joint log p(data,
/// θ): ascent on the ELBO E_q[log p] - E_q[log q] in the Fisher metric of q, g_ij = E_q[∂_i log q
/// ∂_j log q].
///
/// In natural parameters the natural gradient is the gradient by the mean parameters m = (μ,
/// μ² + σ²), and the step (Khan & Lin 2017)
///
///     λ ← (1 - ε) λ + ε ∇_m E_q[log p],
///
/// which is σ⁻² ← (1 - ε) σ⁻² - ε E_q[∂²log p],  μ ← μ + ε σ² E_q[∂ log p] with the new σ². On a
/// Gaussian target N(m, Λ⁻¹) and ε = 1 one step makes σ_j² = 1/Λ_jj, and μ is a step of Jacobi's
/// iteration for Λμ = Λm: it diverges if the spectral radius of I - D⁻¹Λ, D = diag Λ, exceeds 1,
/// where a smaller ε helps. A step to a precision that is not positive, as where log p is convex,
/// is refused.
///
/// In (μ, log σ), F = diag(σ⁻², 2), precisions stay positive:
///
///     μ ← μ + ε σ² E_q[∂ log p],  log σ ← log σ + ½ε (1 + σ² E_q[∂²log p]).
///
/// Few samples know E_q[∂²log p] badly (of five pairs in 20 correlated dimensions to 150 %), and
/// the natural step is then refused again and again. `Retracted` (Lin, Schmidt & Khan 2020, the
/// improved Bayesian learning rule) goes to second order along the geodesic,
///
///     σ⁻² ← σ⁻² (1 + x + ½x²) > 0,  x = εₜ (-σ² E_q[∂²log p] - 1),  εₜ = ε/(1 + εt/T),
///     μ ← μ + ε σ² E_q[∂ log p] with the new σ², by one σ a coordinate at most (root mean square),
///
/// has the same fixed points, and is the natural step for small ε. Antithetic pairs know E_q[∂ log
/// p] much better than the curvature: so the precisions, whose noise would otherwise keep q away
/// from the optimum, average over a memory of their own that grows with the number t of steps.
///
/// ```cpp
/// const auto options = natgrad::NaturalGradientVIOptions()
///                          .form(natgrad::VariationalForm::Retracted)
///                          .pairs(5)
///                          .rate(0.1);
/// ```
///
/// Numerical outcomes are values; a refused step draws nothing from the stream of samples. Throws
/// for options out of range, and as the expectations do.
class NATGRAD_EXPORT NaturalGradientVI {
 public:
  /// Starts from `initial`, in whose dtype it computes.
  NaturalGradientVI(LogJoint log_joint, MeanFieldGaussian initial,
                    NaturalGradientVIOptions options = {});

  /// One step; costs one set of expectations.
  const VariationalSummary& step();
  /// Of the last step.
  const VariationalSummary& summary() const { return summary_; }
  /// As the last step left it.
  const MeanFieldGaussian& q() const { return q_; }
  /// Number of accepted steps.
  int64_t steps() const { return steps_; }
  /// ε from the next step on.
  void set_rate(double rate);

 private:
  Expectations expectations() const;
  double precision_rate() const;

  LogJoint log_joint_;
  MeanFieldGaussian q_;
  NaturalGradientVIOptions options_;
  VariationalSummary summary_;
  int64_t steps_ = 0;
};

}  // namespace natgrad
