#include <natgrad/linalg/linear_operator.h>

#include <stdexcept>

#include "support/oracles.h"

namespace natgrad::testing::linear_operator_test {
namespace {

// A few sums of at most ten products of order one in double.
constexpr double kRounding = 1e-14;
// The same in float32.
constexpr double kRoundingFloat = 1e-6;

constexpr int64_t kSize = 7;

Tensor matrix_a() {
  return symmetric_with_spectrum(torch::linspace(-1, 3, kSize, torch::kDouble), 1);
}
Tensor matrix_b() {
  return symmetric_with_spectrum(torch::linspace(0.5, 2, kSize, torch::kDouble), 2);
}
Tensor numbers_d() { return randn({kSize}, 3); }
Tensor eye() { return torch::eye(kSize, torch::kDouble); }

/// An operator and the matrix that it stands for.
struct OperatorCase {
  std::string name;
  LinearOperator map;
  Tensor matrix;
};

std::ostream& operator<<(std::ostream& out, const OperatorCase& c) { return out << c.name; }

std::vector<OperatorCase> operator_cases() {
  const auto a = from_dense(matrix_a());
  const auto b = from_dense(matrix_b());
  const auto d = natgrad::diagonal_operator(numbers_d());
  const auto explicit_d = torch::diag(numbers_d());
  return {
      {"Dense", a, matrix_a()},
      {"Diagonal", d, explicit_d},
      {"Sum", a + b, matrix_a() + matrix_b()},
      {"SumWithItself", a + a, 2 * matrix_a()},
      {"Shift", a + 0.75, matrix_a() + 0.75 * eye()},
      {"NegativeShift", a + -2.0, matrix_a() - 2 * eye()},
      {"Scale", -1.5 * a, -1.5 * matrix_a()},
      {"ZeroScale", 0.0 * a, torch::zeros_like(matrix_a())},
      {"ShiftedDiagonal", d + 2.0, explicit_d + 2 * eye()},
      {"ScaledSum", 2.0 * (a + d) + 0.5, 2 * (matrix_a() + explicit_d) + 0.5 * eye()},
      {"SumOfScaledAndShifted", 3.0 * a + (b + 1.0) + d,
       3 * matrix_a() + matrix_b() + eye() + explicit_d},
  };
}

class LinearOperatorCases : public ::testing::TestWithParam<OperatorCase> {};

TEST_P(LinearOperatorCases, DenseIsTheExplicitMatrix) {
  EXPECT_LT(relative_error(dense(GetParam().map), GetParam().matrix), kRounding);
}

TEST_P(LinearOperatorCases, MultipliesAVector) {
  const auto v = randn({kSize}, 4);
  EXPECT_LT(relative_error(GetParam().map.multiply(v), GetParam().matrix.mv(v)), kRounding);
}

TEST_P(LinearOperatorCases, MultipliesABlockOfColumns) {
  for (const int64_t k : {0, 1, 3}) {
    const auto block = randn({kSize, k}, 5);
    EXPECT_LT(relative_error(GetParam().map.multiply(block), GetParam().matrix.mm(block)),
              kRounding);
  }
}

TEST_P(LinearOperatorCases, ReadsStridedVectorsAndBlocks) {
  const auto vector = randn({kSize, 2}, 6).select(1, 1);
  EXPECT_LT(relative_error(GetParam().map.multiply(vector), GetParam().matrix.mv(vector)),
            kRounding);
  const auto block = randn({3, kSize}, 7).t();
  EXPECT_LT(relative_error(GetParam().map.multiply(block), GetParam().matrix.mm(block)), kRounding);
}

TEST_P(LinearOperatorCases, RepeatsBitwise) {
  const auto v = randn({kSize}, 8);
  EXPECT_TRUE(identical(GetParam().map.multiply(v), GetParam().map.multiply(v)));
}

TEST_P(LinearOperatorCases, LeavesItsVectorAlone) {
  const auto v = randn({kSize}, 9);
  const auto before = v.clone();
  GetParam().map.multiply(v);
  EXPECT_TRUE(identical(v, before));
}

// Callers may overwrite a product: it must share memory with neither the operator nor the vector.
TEST_P(LinearOperatorCases, AnswersWithAFreshTensor) {
  const auto v = randn({kSize}, 10);
  const auto before = v.clone();
  const auto expected = GetParam().map.multiply(v).clone();
  GetParam().map.multiply(v).fill_(std::nan(""));
  EXPECT_TRUE(identical(v, before));
  EXPECT_TRUE(identical(GetParam().map.multiply(v), expected));
}

TEST_P(LinearOperatorCases, KnowsSizeAndDtype) {
  EXPECT_EQ(GetParam().map.size(), kSize);
  EXPECT_EQ(torch::zeros({1}, GetParam().map.options()).scalar_type(), torch::kDouble);
}

INSTANTIATE_TEST_SUITE_P(Operators, LinearOperatorCases, ::testing::ValuesIn(operator_cases()),
                         [](const auto& info) { return info.param.name; });

// A map that counts its products.
LinearOperator counting(int* products) {
  return {"counting", kSize, torch::kDouble, [products](const Tensor& v) {
            EXPECT_TRUE(v.is_contiguous() && v.dim() == 1);
            ++*products;
            return v.clone();
          }};
}

TEST(LinearOperatorTest, ABlockOfKColumnsCostsKProductsWithContiguousVectors) {
  int products = 0;
  counting(&products).multiply(randn({4, kSize}, 1).t());
  EXPECT_EQ(products, 4);
  dense(counting(&products));
  EXPECT_EQ(products, 4 + kSize);
}

TEST(LinearOperatorTest, OperatorsKeepTheirPartsAlive) {
  auto map = [] {
    const auto a = from_dense(matrix_a());
    return 2.0 * (a + natgrad::diagonal_operator(numbers_d())) + 1.0;
  }();
  const auto expected = 2 * (matrix_a() + torch::diag(numbers_d())) + eye();
  EXPECT_LT(relative_error(dense(map), expected), kRounding);
}

TEST(LinearOperatorTest, WorksInFloat32) {
  const auto map = 2.0 * (from_dense(matrix_a().to(torch::kFloat)) +
                          natgrad::diagonal_operator(numbers_d().to(torch::kFloat))) +
                   0.5;
  EXPECT_EQ(dense(map).scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(dense(map), 2 * (matrix_a() + torch::diag(numbers_d())) + 0.5 * eye()),
            kRoundingFloat);
}

TEST(LinearOperatorTest, OtherShapesThrowAndNameTheOperator) {
  const auto map = from_dense(matrix_a());
  for (const auto& wrong : {randn({kSize - 1}, 1), randn({kSize + 1}, 1), randn({}, 1),
                            randn({2, kSize}, 1), randn({kSize, 1, 1}, 1)}) {
    expect_error([&] { map.multiply(wrong); }, "dense matrix");
    expect_error([&] { map.multiply(wrong); }, "[7]");
    expect_error([&] { (map + 1.0).multiply(wrong); }, "[7]");
  }
}

TEST(LinearOperatorTest, OtherDtypesAndDevicesThrow) {
  const auto map = from_dense(matrix_a());
  expect_error([&] { map.multiply(torch::ones({kSize}, torch::kFloat)); }, "float");
  expect_error([&] { map.multiply(torch::ones({kSize}, torch::kLong)); }, "dense matrix");
  expect_error([&] { map.multiply(torch::ones({kSize}, map.options().device(torch::kMeta))); },
               "meta");
}

/// An operator whose products are forbidden where VᵀA V is asked for.
LinearOperator knowing_inner_products(const Tensor& matrix) {
  const LinearOperator A("A", matrix.size(0), matrix.options(), [](const Tensor&) -> Tensor {
    throw std::logic_error("a product was not needed");
  });
  return A.with_inner([matrix](const std::vector<Tensor>& columns) {
    const auto V = torch::stack(columns, 1);
    return V.t().mm(matrix).mm(V);
  });
}

TEST(LinearOperatorTest, InnerProductsAreThoseOfTheMatrix) {
  const auto a = matrix_a(), d = randn({kSize}, 4).abs();
  const std::vector<Tensor> columns = {randn({kSize}, 5), randn({kSize}, 6)};
  const auto V = torch::stack(columns, 1);
  const auto expected = [&](const Tensor& matrix) { return V.t().mm(matrix).mm(V); };
  const auto I = torch::eye(kSize, torch::kDouble);
  EXPECT_LE(relative_error(from_dense(a).inner(columns), expected(a)), kRounding);
  const auto A = knowing_inner_products(a);
  EXPECT_LE(relative_error(A.inner(columns), expected(a)), kRounding);
  EXPECT_LE(relative_error((2 * (A + 0.5)).inner(columns), expected(2 * a + I)), kRounding);
  const auto sum = A + natgrad::diagonal_operator(d), reversed = natgrad::diagonal_operator(d) + A;
  EXPECT_LE(relative_error(sum.inner(columns), expected(a + torch::diag(d))), kRounding);
  EXPECT_LE(relative_error(reversed.inner(columns), expected(a + torch::diag(d))), kRounding);
}

TEST(LinearOperatorTest, SumsOfDifferentSpacesThrow) {
  const auto map = from_dense(matrix_a());
  expect_error([&] { map + natgrad::diagonal_operator(randn({kSize + 1}, 1)); }, "size 8");
  expect_error([&] { map + natgrad::diagonal_operator(torch::ones({kSize}, torch::kFloat)); },
               "dtype");
  expect_error(
      [&] {
        map + natgrad::diagonal_operator(torch::ones({kSize}, map.options().device(torch::kMeta)));
      },
      "device");
}

TEST(LinearOperatorTest, MalformedMatricesThrow) {
  expect_error([] { from_dense(randn({2, 3}, 1)); }, "square");
  expect_error([] { from_dense(randn({4}, 1)); }, "square");
  expect_error([] { natgrad::diagonal_operator(randn({2, 2}, 1)); }, "diagonal");
}

TEST(LinearOperatorTest, NamesTellWhatASumIsMadeOf) {
  const auto a =
      LinearOperator("Fisher", 1, torch::kDouble, [](const Tensor& v) { return v.clone(); });
  const auto name = (0.5 * a + natgrad::diagonal_operator(randn({1}, 1)) + 0.25).name();
  for (const auto* part : {"Fisher", "0.5", "diagonal", "0.25"}) {
    EXPECT_NE(name.find(part), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace natgrad::testing::linear_operator_test
