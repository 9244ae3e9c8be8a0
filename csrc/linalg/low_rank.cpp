#include <natgrad/linalg/low_rank.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

LinearOperator low_rank(Tensor rows, std::string name) {
  TORCH_CHECK(rows.dim() == 2, "natgrad: a low-rank matrix is made of rows [N, P], but got shape ",
              rows.sizes(), ".");
  // In double: RRᵀ loses the small singular values that float32 rows still tell, and b less its
  // part in the rows, divided by a small σ, is a difference of nearly equal numbers.
  const auto gram = std::make_shared<Tensor>();
  const auto solve = [rows, gram](double shift, const Tensor& b) {
    TORCH_CHECK(shift > 0,
                "natgrad: a low-rank matrix is singular: solving needs a damping "
                "lambda > 0, but it is ",
                shift, ".");
    if (!gram->defined()) *gram = rows.to(torch::kDouble).mm(rows.t().to(torch::kDouble));
    const auto identity = torch::eye(gram->size(0), gram->options());
    const auto factor = torch::linalg_cholesky(*gram + shift * identity);
    const auto wide = rows.to(torch::kDouble), right = b.to(torch::kDouble);
    const auto inner = torch::cholesky_solve(wide.mv(right).unsqueeze(1), factor).squeeze(1);
    return (right - wide.t().mv(inner)).div_(shift).to(b.scalar_type());
  };
  const auto size = rows.size(1);
  const auto options = rows.options().requires_grad(false);
  return LinearOperator(
             std::move(name), size, options,
             [rows](const Tensor& v) { return rows.t().matmul(rows.matmul(v)); }, Columns::Together)
      .with_solve(solve);
}

Tensor leading_rows(const Tensor& rows, int64_t rank) {
  TORCH_CHECK(rank >= 1, "natgrad: a rank is at least 1, but got ", rank, ".");
  if (rows.size(0) <= rank) return rows;
  const auto wide = rows.to(torch::kDouble);
  const auto vectors = std::get<1>(torch::linalg_eigh(wide.mm(wide.t())));
  return vectors.narrow(1, rows.size(0) - rank, rank).t().to(rows.dtype()).mm(rows);
}

}  // namespace natgrad
