#include "reader.h"

#include <leptonica/allheaders.h>
#include <tesseract/baseapi.h>
#include <tesseract/resultiterator.h>

namespace ocr {
namespace {

constexpr int kMaxSide = 20000;
constexpr int64_t kMaxPixels = 100'000'000;
constexpr int kAssumedResolution =
    150;  // for images that do not say; keeps Tesseract from guessing

struct PixDeleter {
  void operator()(Pix* pix) const { pixDestroy(&pix); }
};
using PixOwner = std::unique_ptr<Pix, PixDeleter>;

std::string sizeProblem(std::string_view image) {
  const auto* bytes = reinterpret_cast<const l_uint8*>(image.data());
  l_int32 format = 0, width = 0, height = 0, bits = 0, samples = 0, colormap = 0;
  if (pixReadHeaderMem(bytes, image.size(), &format, &width, &height, &bits, &samples, &colormap) !=
      0)
    return "the body is not an image that can be read: send the bytes of a PNG or JPEG file";
  if (width > kMaxSide || height > kMaxSide || int64_t{width} * height > kMaxPixels)
    return "the image is too large: at most 20000 pixels a side and 100 megapixels";
  return "";
}

void collectWords(tesseract::ResultIterator* at, std::vector<Word>& words) {
  constexpr auto kLevel = tesseract::RIL_WORD;
  if (at == nullptr) return;
  do {
    const std::unique_ptr<char[]> text(at->GetUTF8Text(kLevel));
    int left = 0, top = 0, right = 0, bottom = 0;
    if (!text || !at->BoundingBox(kLevel, &left, &top, &right, &bottom)) continue;
    words.push_back({text.get(), at->Confidence(kLevel), left, top, right - left, bottom - top});
  } while (at->Next(kLevel));
}

}  // namespace

Reader::Reader() : engine_(std::make_unique<tesseract::TessBaseAPI>()) {
  setMsgSeverity(L_SEVERITY_NONE);
}

Reader::~Reader() = default;

std::string Reader::load() {
  if (loaded_) return "";
  if (engine_->Init(nullptr, "eng", tesseract::OEM_LSTM_ONLY) != 0)
    return "the English model could not be loaded (is tesseract-ocr-eng in the image?)";
  engine_->SetVariable("debug_file", "/dev/null");
  engine_->SetPageSegMode(tesseract::PSM_AUTO);
  loaded_ = true;
  return "";
}

std::variant<Page, std::string> Reader::read(std::string_view image) {
  if (image.empty()) return "the body is empty: send the bytes of a PNG or JPEG file";
  if (std::string problem = sizeProblem(image); !problem.empty()) return problem;
  const PixOwner pix(pixReadMem(reinterpret_cast<const l_uint8*>(image.data()), image.size()));
  if (!pix) return "the image is damaged: its head can be read, its pixels cannot";
  engine_->SetImage(pix.get());
  if (pixGetXRes(pix.get()) <= 0) engine_->SetSourceResolution(kAssumedResolution);
  if (engine_->Recognize(nullptr) != 0) return "the image could not be read";
  Page page{
      .width = pixGetWidth(pix.get()), .height = pixGetHeight(pix.get()), .text = "", .words = {}};
  const std::unique_ptr<char[]> text(engine_->GetUTF8Text());
  if (text) page.text = text.get();
  const std::unique_ptr<tesseract::ResultIterator> words(engine_->GetIterator());
  if (!page.text.empty()) collectWords(words.get(), page.words);
  engine_->Clear();
  return page;
}

}  // namespace ocr
