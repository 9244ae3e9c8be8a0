#pragma once

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace natgrad {

/// What becomes of each parameter tensor when its unit is another.
struct NATGRAD_EXPORT UnitsReport {
  /// Of one tensor.
  struct Row {
    double factor = 1;  ///< new numbers per old: 100 from metres to centimetres
    /// ∂h/∂θ in new units over that in old ones: covariant components, 1/factor.
    double gradient = 0;
    /// The natural gradient -F⁻¹∇h likewise: contravariant components, as those of θ itself,
    /// factor.
    double natural = 0;
    /// A step of the plain gradient in new units, written back in old ones, over the step in old
    /// ones: 1/factor², for its components are not those of a displacement.
    double plain_step = 0;
    /// The same with the metric of scales that are converted too: 1.
    double scaled_step = 0;
    /// The same with F: 1.
    double natural_step = 0;
  };
  std::vector<Row> rows;  ///< one for each parameter tensor
  /// How far the measured vectors are from these multiples, and the multiples from what they should
  /// be: the largest, relative.
  double error = 0;
  bool holds = false;  ///< whether that is rounding, times the condition of C

  /// A table, a line a tensor, and the verdict.
  std::string message() const;
};

/// Metres to centimetres: a tensor θ_k written in another unit is factors[k]·θ_k. The gradient, the
/// natural gradient and three steps of the same rate are computed in both, by autograd through the
/// change of units, and compared: (1) the plain gradient, (2) the metric g_ii = sᵢ⁻² with a
/// characteristic size s of each tensor, converted as θ is (`ParameterScales`), (3) the Fisher
/// matrix, or another `curvature`: then the report tells whether it knows of units.
///
/// ```cpp
/// const auto report = natgrad::change_of_units(
///     model->parameters(), [&] { return loss_of(x, y); }, {100, 1, 1, 0.1});
/// const auto verdict = report.message();
/// ```
///
/// `scales`: s in the old units; 1 for each if empty. Where ∇h of a tensor is zero its row is of
/// NaN. With a singular F the natural gradient is the least solution, which depends on units, and
/// the report fails for it. The model is left as by `invariance_check`, of whose P it also takes no
/// more.
///
/// (S. Crotti, "Natural gradients", a blog post, where one iteration in centimetres is η/10000 in
/// metres.) Throws `c10::ValueError` for other numbers of factors or scales, and any that is not
/// finite and > 0.
NATGRAD_EXPORT UnitsReport change_of_units(const std::vector<torch::Tensor>& parameters,
                                           const std::function<torch::Tensor()>& loss,
                                           const std::vector<double>& factors,
                                           std::vector<double> scales = {},
                                           const Curvature& curvature = FisherOrGaussNewton());

}  // namespace natgrad
