#include <natgrad/preconditioners/kronecker_factors.h>
#include <torch/torch.h>

#include <limits>

namespace natgrad {

using torch::Tensor;

namespace {

/// The weight's numbers as [groups, out, in]: a view.
Tensor output_by_input(const KroneckerBlock& block, const Tensor& weight) {
  const auto groups = block.gradients.size(0), out = block.gradients.size(1);
  const auto in = block.activations.size(1) - (block.bias ? 1 : 0);
  return block.is_input_by_output ? weight.view({groups, in, out}).transpose(1, 2)
                                  : weight.view({groups, out, in});
}

Tensor bias_column(const KroneckerBlock& block, const Tensor& bias) {
  return bias.view({block.gradients.size(0), block.gradients.size(1), 1});
}

/// product ← G V A, in the places of the block's parameters. The bias is the last column of V, and
/// is multiplied apart: [W, b] would be a copy.
void multiply_block(const KroneckerBlock& block, const std::vector<Tensor>& v,
                    const std::vector<Tensor>& product) {
  const auto& G = block.gradients;
  const auto& A = block.activations;
  const auto GW = G.bmm(output_by_input(block, v[block.weight]));
  auto W = output_by_input(block, product[block.weight]);
  if (!block.bias) {
    torch::bmm_out(W, GW, A);
    return;
  }
  const auto in = W.size(2);
  const auto Gb = G.bmm(bias_column(block, v[*block.bias]));
  const auto last_row = A.narrow(1, in, 1);
  torch::bmm_out(W, GW, A.narrow(1, 0, in).narrow(2, 0, in));
  W.baddbmm_(Gb, last_row.narrow(2, 0, in));
  auto b = bias_column(block, product[*block.bias]);
  torch::bmm_out(b, GW, A.narrow(1, 0, in).narrow(2, in, 1));
  b.baddbmm_(Gb, last_row.narrow(2, in, 1));
}

/// tr/dim of each group's matrix, [groups, 1, 1].
Tensor mean_eigenvalue(const Tensor& factor) {
  return factor.diagonal(0, 1, 2).mean(1).view({-1, 1, 1});
}

/// Eigenvalues that are rounding count as that.
Tensor inverse_by_eigenvalues(const Tensor& damped, double shift) {
  const auto wide = damped.to(torch::kDouble);
  if (!wide.isfinite().all().item<bool>()) {
    return torch::full_like(damped, std::numeric_limits<double>::quiet_NaN());
  }
  const auto [values, vectors] = torch::linalg_eigh(wide);
  const double epsilon = damped.scalar_type() == torch::kDouble
                             ? std::numeric_limits<double>::epsilon()
                             : std::numeric_limits<float>::epsilon();
  const auto rounding = static_cast<double>(damped.size(1)) * epsilon * values.amax(1, true);
  const auto positive = torch::maximum(values, rounding.clamp_min(shift));
  return (vectors / positive.unsqueeze(1)).matmul(vectors.transpose(1, 2)).to(damped.dtype());
}

/// (s S + shift·I)⁻¹ of each group.
Tensor shifted_inverse(const Tensor& S, const Tensor& s, double shift) {
  const auto damped = s * S;
  damped.diagonal(0, 1, 2).add_(shift);
  const auto [factor, info] = torch::linalg_cholesky_ex(damped);
  if (info.ne(0).any().item<bool>()) return inverse_by_eigenvalues(damped, shift);
  return torch::cholesky_inverse(factor);
}

/// Both factors are first brought to the same mean eigenvalue m, √((tr A/dim A)(tr G/dim G)): then
/// π is 1, and nothing is divided by zero.
KroneckerBlock damped_inverse(KroneckerBlock block, double lambda) {
  const auto a = mean_eigenvalue(block.activations), g = mean_eigenvalue(block.gradients);
  const auto m = (a * g).sqrt();
  const auto to_mean = [&](const Tensor& mean) {
    return torch::where(mean > 0, m / mean, torch::zeros_like(mean));
  };
  block.activations = shifted_inverse(block.activations, to_mean(a), std::sqrt(lambda));
  block.gradients = shifted_inverse(block.gradients, to_mean(g), std::sqrt(lambda));
  return block;
}

}  // namespace

LinearOperator kronecker_product(const KroneckerFactors& factors,
                                 const ParameterLayout& parameters) {
  return {"Kronecker-factored matrix", parameters.size(), parameters.options(),
          [factors, parameters](const Tensor& v) {
            const torch::NoGradGuard no_grad;
            const auto product = factors.diagonal * v;
            const auto from = parameters.views(v), to = parameters.views(product);
            for (const auto& block : factors.blocks) multiply_block(block, from, to);
            return product;
          }};
}

KroneckerFactors damped_inverse(const KroneckerFactors& factors, double lambda) {
  const torch::NoGradGuard no_grad;
  TORCH_CHECK(lambda > 0,
              "natgrad: Kronecker factors are inverted with a damping lambda > 0, but "
              "it is ",
              lambda, ".");
  KroneckerFactors inverse;
  for (const auto& block : factors.blocks) inverse.blocks.push_back(damped_inverse(block, lambda));
  inverse.diagonal = 1 / (factors.diagonal + lambda);
  return inverse;
}

}  // namespace natgrad
