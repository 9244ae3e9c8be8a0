#pragma once

#include <natgrad/export.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/arg.h>

#include <limits>
#include <string>

namespace natgrad {

/// When a minimisation is over. Each test is off at 0.
struct NATGRAD_EXPORT Convergence {
  /// ‖∇h‖ is no more.
  TORCH_ARG(double, gradient) = 0;
  /// A step moved every parameter by no more than this share of itself (or of 1e-6 of the largest
  /// value that it has had lately, for those that are zero at the minimum).
  TORCH_ARG(double, step) = 1e-12;
  /// h fell by no more than this share of itself, and was to by the model.
  TORCH_ARG(double, loss) = 0;
  /// Steps at most, rejected ones included; > 0.
  TORCH_ARG(int64_t, max_steps) = 1000;
  /// Whether a line a second is printed to stderr.
  TORCH_ARG(bool, progress) = false;

 public:
  /// Throws `c10::Error` for numbers below 0 or NaN, and max_steps < 1.
  void check() const;
};

/// Why a minimisation ended.
enum class Stop {
  Gradient,   ///< `Convergence::gradient`, or ∇h is zero
  Step,       ///< `Convergence::step`, or θ is the same
  Loss,       ///< `Convergence::loss`
  Rounding,   ///< the model promises less than h's rounding, and steps shrink no more
  Vanished,   ///< squared errors are met to the rounding of θ: ‖t‖ <= 64 ε ‖|R| |θ|‖
  Flat,       ///< the same as Rounding, but θ still moves by more than 1e-3 of itself, or some
              ///< parameter has gone to where it does nothing: some parameters, or combinations of
              ///< them, are not determined by this loss
  Saddle,     ///< ∇h is zero, but h has a negative curvature there
  Stalled,    ///< no step is better any more, however short, though the model promises some
  NonFinite,  ///< the loss or its gradient is not finite
  MaxSteps    ///< `Convergence::max_steps`
};

/// "Gradient", "Step", ...
NATGRAD_EXPORT const char* to_string(Stop reason);

/// Where a minimisation ended.
struct NATGRAD_EXPORT Minimum {
  /// Why it ended.
  Stop reason = Stop::MaxSteps;
  /// Whether this is a minimum as far as arithmetic tells. For `Vanished`; else not for Flat,
  /// Saddle, NonFinite and MaxSteps, and for the others where h has no negative curvature, the next
  /// step would move no parameter by more than 1e-3 of itself, and either the `offset` is at most
  /// 1e-4, or the step 1e-8; or, where R does not tell, by Newton's step of at most 1e-6 (1e-3 of a
  /// loss without rows). Where h cannot be differentiated twice R alone is asked.
  bool converged = false;
  int64_t steps = 0;         ///< taken, rejected ones included
  double loss = 0;           ///< h there
  double gradient_norm = 0;  ///< ‖∇h‖ there
  /// The cosine between the residuals t and what steps could still change, ‖Q₁ᵀt‖/‖t‖ for
  /// R = Q₁U (Bates & Watts 1981, up to a factor), to R's numerical rank. NaN where the loss has no
  /// rows: penalties, weight decay, `maximize`, more than 4096 parameters or 2^27 numbers.
  double offset = std::numeric_limits<double>::quiet_NaN();
  /// How many decimal digits of the least certain parameter are to be trusted: those that the next
  /// steps of Gauss and Newton and of Newton would leave in place, and the residuals' rounding
  /// allows; where neither R nor ∇²h is known, as the last steps' speed of convergence tells. NaN
  /// if that does not either.
  double digits = std::numeric_limits<double>::quiet_NaN();
  /// The parameters' covariance, [P, P] in double, for a loss that is a likelihood:
  ///
  ///     s̄ (RᵀR)⁻¹,  and of squared errors  ‖t‖²/(r - P) (RᵀR)⁻¹,
  ///
  /// r the number of observations with a weight other than zero, s̄ the mean weight of an
  /// observation in h, so that a mean or a sum over examples tells the same. Undefined where R is
  /// not known, has no more observations than columns or is singular to rounding.
  torch::Tensor covariance = {};
  /// √ of its diagonal, [P].
  torch::Tensor standard_errors = {};

  /// One or two lines for a log.
  std::string message() const;
};

/// Steps until one of the tests says that θ is at a minimum, or that none will be found:
///
/// ```cpp
/// natgrad::NaturalGradient optimizer(model->parameters(), natgrad::presets::least_squares());
/// const auto minimum = natgrad::minimise(optimizer, [&] { return loss_of(x, y); });
/// ```
///
/// `closure` has to return the same function of θ at each call. The tests by `step` and `loss` look
/// at single steps, so they are for methods whose steps are full ones (`least_squares`,
/// `natural_gradient`): one that takes a tenth of each would be stopped early.
///
/// Where R is known the last digits are found by undamped steps that make the `offset` smaller: of
/// a parameter h itself shows no more than half the digits that it has.
///
/// Costs the steps, and at the end at least two evaluations with R where that can be formed, and of
/// the Hessian P products, 50 at most beyond P = 64. Throws as steps do; θ is then as before the
/// step that threw, or as the last step left it. Groups whose lr is 0 stay as they are.
NATGRAD_EXPORT Minimum minimise(NaturalGradient& optimizer,
                                const NaturalGradient::LossClosure& closure,
                                const Convergence& convergence = {});

}  // namespace natgrad
