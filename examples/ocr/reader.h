#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesseract {
class TessBaseAPI;
}

namespace ocr {

struct Word {
  std::string text;
  double confidence = 0;                    // 0 to 100
  int x = 0, y = 0, width = 0, height = 0;  // pixels from the top left corner
};

struct Page {
  int width = 0, height = 0;
  std::string text;
  std::vector<Word> words;
};

// Tesseract with one language model, loaded by load() and kept. For one thread.
class Reader {
 public:
  Reader();
  ~Reader();

  // Loads the English model. Empty when it worked, else what went wrong. Again is a no-op.
  std::string load();
  bool loaded() const { return loaded_; }

  // Reads an encoded image (PNG, JPEG, TIFF, WebP); the text of an error names what is wrong with
  // it.
  std::variant<Page, std::string> read(std::string_view image);

 private:
  std::unique_ptr<tesseract::TessBaseAPI> engine_;
  bool loaded_ = false;
};

}  // namespace ocr
